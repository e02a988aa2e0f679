//! How texts are generated, as long flags. A flag that is not given keeps the library's default.

use polygraft::model::GenerateOptions;

/// The heading of these flags.
pub const GENERATION: &str = "Generation (sequence to sequence)";

#[derive(clap::Args)]
#[command(next_help_heading = GENERATION)]
pub struct GenerateArgs {
    /// Hypotheses that are followed; 1 takes the most probable token at each step
    #[arg(long, value_name = "N")]
    num_beams: Option<usize>,
    /// The most new tokens, the end included; 0 takes as many as the bundle allows
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// The fewest new tokens
    #[arg(long, value_name = "N")]
    min_new_tokens: Option<usize>,
    /// Divide the logits of tokens that were there by X, multiply negative ones: above 1 makes
    /// repetition less probable
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f32>,
    /// Let no sequence of N tokens come twice; 0 allows it
    #[arg(long, value_name = "N")]
    no_repeat_ngram_size: Option<usize>,
    /// Beams compare by log probability / tokens^X: above 0 favours longer texts
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    length_penalty: Option<f32>,
    /// A text that ends the generation and is cut off; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop_strings: Vec<String>,
    /// Compute keys and values of all tokens at every step: slower, with the same result
    #[arg(long)]
    no_cache: bool,
}

impl GenerateArgs {
    /// The options of the library with the flags that were given.
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
