//! Settings of the notification channel.

use std::time::Duration;

use aws_sdk_sns::config::timeout::TimeoutConfig;
use runtime::Environment;

use crate::{notify::Channel, sns::Sns};

/// The timeout for a message. A slow topic may already have it, and a retry would send it again.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(20);

/// Settings of the channel.
pub enum ChannelSettings {
    /// A line in the log.
    Log,
    /// An SNS topic.
    Sns {
        /// Its ARN.
        topic_arn: String,
    },
}

#[derive(Clone, Copy, Default)]
enum Choice {
    #[default]
    Log,
    Sns,
}

impl ChannelSettings {
    /// Reads the choice of the channel, and its settings.
    pub fn read(environment: &mut Environment) -> Self {
        let choices = [("log", Choice::Log), ("sns", Choice::Sns)];
        match environment.one_of("NOTIFICATION_CHANNEL", &choices) {
            Choice::Log => Self::Log,
            Choice::Sns => {
                let topic_arn = environment.required(
                    "NOTIFICATION_TOPIC_ARN",
                    "arn:aws:sns:us-east-1:123456789012:order-notifications",
                );
                if !topic_arn.is_empty() && !is_topic_arn(&topic_arn) {
                    environment.reject(format!(
                        "NOTIFICATION_TOPIC_ARN is {topic_arn:?}, but must be the ARN of an SNS topic"
                    ));
                }
                Self::Sns { topic_arn }
            }
        }
    }

    /// Creates the channel.
    pub async fn connect(self) -> Channel {
        match self {
            Self::Log => Channel::Log,
            Self::Sns { topic_arn } => {
                let aws = runtime::aws_config().await;
                let config = aws_sdk_sns::config::Builder::from(&aws);
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(PUBLISH_TIMEOUT);
                let config = config.timeout_config(timeouts.build()).build();
                Channel::Sns(Sns::new(aws_sdk_sns::Client::from_conf(config), topic_arn))
            }
        }
    }
}

/// The form `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
fn is_topic_arn(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    matches!(parts[..], ["arn", _, "sns", region, account, name]
        if [region, account, name].iter().all(|part| !part.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(variables: &[(&str, &str)]) -> String {
        let variables = variables.iter();
        let mut environment = Environment::new(
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        ChannelSettings::read(&mut environment);
        environment.finish(()).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn an_unknown_channel_or_a_missing_topic_is_refused_with_what_to_set() {
        assert_eq!(errors(&[("NOTIFICATION_CHANNEL", "log")]), "");
        let arn = ("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:orders.fifo");
        assert_eq!(errors(&[("NOTIFICATION_CHANNEL", "sns"), arn]), "");
        let unknown = errors(&[("NOTIFICATION_CHANNEL", "mail")]);
        assert!(unknown.contains("NOTIFICATION_CHANNEL is \"mail\", but must be log or sns"));
        let missing = errors(&[("NOTIFICATION_CHANNEL", "sns")]);
        assert!(missing.contains("NOTIFICATION_TOPIC_ARN is not set; for example"), "{missing}");
        let queue = ("NOTIFICATION_TOPIC_ARN", "arn:aws:sqs:eu-west-1:123456789012:orders");
        let queue = errors(&[("NOTIFICATION_CHANNEL", "sns"), queue]);
        assert!(queue.contains("must be the ARN of an SNS topic"), "{queue}");
    }
}
