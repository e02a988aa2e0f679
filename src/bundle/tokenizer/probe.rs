//! Checks that a tokenizer is usable by tokenizing sentences in many scripts.
//!
//! A vocabulary without an unknown token may fail on texts that it does not cover. A tokenizer that
//! fails on every text is unusable, so no bundle is made of it; the error gives the reason.

use super::{Tokenizer, damaged};
use crate::error::Result;

/// Common requests in the scripts of most of the world's text, and texts in no script.
const TEXTS: [&str; 16] = [
    "Turn on the light, please!",
    "Işığı kapat, ölçüyü göster.",
    "Включи свет на кухне.",
    "Άναψε το φως στην κουζίνα.",
    "打开客厅的灯。",
    "台所の電気をつけて",
    "거실 불 켜 줘",
    "شغّل ضوء المطبخ",
    "הדלק את האור במטבח",
    "रसोई की बत्ती चालू करो",
    "রান্নাঘরের আলো জ্বালাও",
    "சமையலறை விளக்கை எரிய விடு",
    "เปิดไฟในห้องครัว",
    "მზარეულოს შუქი ჩართე",
    "a",
    "12:30, 5 %",
];

impl Tokenizer {
    /// Checks that some text can be tokenized.
    ///
    /// # Errors
    /// [`Code::BundleTokenizer`](crate::Code::BundleTokenizer) when every one of the texts fails,
    /// or none has a token.
    pub fn check_probes(&self) -> Result<()> {
        let (mut first_error, mut tokens_count, mut fit_count) = (None, 0, 0);
        for text in TEXTS {
            match self.encode_plain(text, text.len()) {
                Ok(encoding) => {
                    fit_count += 1;
                    tokens_count += encoding.ids.len();
                }
                Err(error) => drop(first_error.get_or_insert((text, error))),
            }
        }
        let count = TEXTS.len();
        match first_error {
            Some((text, error)) if fit_count == 0 => Err(damaged(format!(
                "none of {count} texts in as many scripts can be tokenized; of {text:?}: {}; give \
                 the model an unknown token (unk_token, unk_id) or bytes as tokens",
                error.message()
            ))),
            _ if tokens_count == 0 => Err(damaged(format!(
                "none of {count} texts in as many scripts has a token: the normaliser or the \
                 pre-tokenizer removes them, or the vocabulary lacks their characters and has no \
                 unknown token"
            ))),
            _ => Ok(()),
        }
    }
}
