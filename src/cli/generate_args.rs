//! How texts are generated, as long flags. An omitted flag keeps the library's default.

use polygraft::model::GenerateOptions;

/// The heading of these flags.
pub const GENERATION: &str = "Generation (sequence to sequence)";

#[derive(clap::Args)]
#[command(next_help_heading = GENERATION)]
pub struct GenerateArgs {
    /// The number of beams; 1 takes the most probable token at each step
    #[arg(long, value_name = "N")]
    num_beams: Option<usize>,
    /// The largest number of new tokens, the end token included; 0 takes the bundle's limit
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// The smallest number of new tokens
    #[arg(long, value_name = "N")]
    min_new_tokens: Option<usize>,
    /// Divide positive logits of tokens that occurred before by X, multiply negative ones: above 1
    /// makes repetition less probable
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f32>,
    /// No sequence of N tokens may occur twice; 0 allows it
    #[arg(long, value_name = "N")]
    no_repeat_ngram_size: Option<usize>,
    /// Beams are compared by log probability / tokens^X: above 0 favours longer texts
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    length_penalty: Option<f32>,
    /// A text that ends the generation and is removed; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop_strings: Vec<String>,
    /// Compute keys and values of all tokens at every step: slower, same result
    #[arg(long)]
    no_cache: bool,
}

impl GenerateArgs {
    /// The library's options with the given flags.
    pub fn options(&self) -> GenerateOptions {
        let usual = GenerateOptions::default();
        GenerateOptions {
            num_beams: self.num_beams.unwrap_or(usual.num_beams),
            max_new_tokens: self.max_new_tokens.unwrap_or(usual.max_new_tokens),
            min_new_tokens: self.min_new_tokens.unwrap_or(usual.min_new_tokens),
            repetition_penalty: self.repetition_penalty.unwrap_or(usual.repetition_penalty),
            no_repeat_ngram_size: self.no_repeat_ngram_size.unwrap_or(usual.no_repeat_ngram_size),
            length_penalty: self.length_penalty.unwrap_or(usual.length_penalty),
            stop_strings: self.stop_strings.clone(),
            use_cache: !self.no_cache,
            ..usual
        }
    }
}
