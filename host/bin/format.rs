//! The formats of model APIs, as the command line names them.

use inorder::Dialect;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `{"calls": [..]}`, answered by a report
    Native,
    /// A message of Anthropic's Messages API
    Anthropic,
    /// A message of OpenAI's Chat Completions API
    #[value(alias = "openai")]
    OpenaiChat,
    /// The output of OpenAI's Responses API
    OpenaiResponses,
    /// A content of Gemini's API
    Gemini,
}

impl From<Format> for Dialect {
    fn from(format: Format) -> Dialect {
        match format {
            Format::Native => Dialect::Native,
            Format::Anthropic => Dialect::Anthropic,
            Format::OpenaiChat => Dialect::Chat,
            Format::OpenaiResponses => Dialect::Responses,
            Format::Gemini => Dialect::Gemini,
        }
    }
}
