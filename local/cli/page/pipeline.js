// Shows each topic and the stages that read it.

import { openLog } from "./log.js";
import { post } from "./post.js";
import { byId, copyOf, setText } from "./format.js";

let pipeline = { topics: [] };

export const topicNamed = (name) => pipeline.topics.find((topic) => topic.name === name);

/** Removes the pipeline until the next message. */
export function forgetPipeline() {
  byId("pipeline").replaceChildren();
}

export function showPipeline(now) {
  pipeline = now;
  const list = byId("pipeline");
  if (list.children.length !== pipeline.topics.length) {
    list.replaceChildren(...pipeline.topics.map(newTopic));
  }
  pipeline.topics.forEach((topic, index) => showTopic(list.children[index], topic));
  showUnreadable();
}

/** Shows the partitions that cannot be read, at the top of the page. */
function showUnreadable() {
  const lines = pipeline.topics.flatMap((topic) => topic.stages.flatMap((stage) =>
    stage.unreadable.map(({ partition, reason }) =>
      `${topic.name}, partition ${partition}: ${stage.name} cannot read it: ${reason}. Its records wait.`)));
  setText(byId("unreadable"), lines.join("\n"));
}

function newTopic(topic) {
  const item = copyOf("topic");
  item.querySelector(".topic-name").textContent = topic.name;
  item.querySelector(".stages").append(...topic.stages.map((stage) => newStage(topic, stage)));
  item.querySelector(".stages").hidden = topic.stages.length === 0;
  item.querySelector(".reader-missing").hidden = topic.stages.length > 0;
  return item;
}

function newStage(topic, stage) {
  const item = copyOf("stage");
  const name = item.querySelector(".open-log");
  name.textContent = stage.name;
  name.addEventListener("click", () => openLog(stage));
  const button = item.querySelector(".pause");
  button.addEventListener("click", () => {
    const action = item.classList.contains("paused") ? "resume" : "pause";
    post(`/_page/mappings/${encodeURIComponent(stage.id)}/${action}`);
  });
  return item;
}

function showTopic(item, topic) {
  setText(item.querySelector(".records b"), String(topic.records));
  setText(item.querySelector(".records span"), topic.records === 1 ? "record" : "records");
  const stages = item.querySelector(".stages").children;
  topic.stages.forEach((stage, index) => showStage(stages[index], topic, stage));
}

function showStage(item, topic, stage) {
  for (const count of item.querySelectorAll("[data-count]")) {
    const value = stage[count.dataset.count];
    setText(count, String(value));
    count.parentElement.classList.toggle("some", value > 0);
  }
  item.querySelector("[data-count=deadLettered]").parentElement.hidden = stage.deadLettered === 0;
  item.classList.toggle("paused", stage.isPaused);
  item.classList.toggle("stopped", stage.unreadable.length > 0);
  item.querySelector(".state").hidden = !stage.isPaused;
  const button = item.querySelector(".pause");
  const action = stage.isPaused ? "Resume" : "Pause";
  setText(button, action);
  button.setAttribute("aria-label", `${action} ${stage.name}, which reads ${topic.name}`);
}
