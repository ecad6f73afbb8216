// Shows each topic and the stages that read it.

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
  item.querySelector("h3").textContent = stage.name;
  const button = item.querySelector("button");
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
  const unreadable = stage.unreadable.map(({ partition, reason }) => `Partition ${partition} cannot be read: ${reason}.`);
  item.querySelector(".unreadable").hidden = unreadable.length === 0;
  setText(item.querySelector(".unreadable"), unreadable.join(" "));
  item.querySelector(".state").hidden = !stage.isPaused;
  const button = item.querySelector("button");
  const action = stage.isPaused ? "Resume" : "Pause";
  setText(button, action);
  button.setAttribute("aria-label", `${action} ${stage.name}, which reads ${topic.name}`);
}
