//! Enums whose variants have a name each: in options, files, reports and messages.
//!
//! Input: an enum with a text beside each variant. Output: the enum with `ALL`, `name` and
//! `Display`; if a noun follows its name, also `FromStr`, whose error lists the known names. This
//! module must never depend on another one but `error`.

use crate::error::{Code, Error, Result};

/// Declares an enum, and the name of each variant beside it.
macro_rules! named {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident $(: $noun:literal)? {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        $vis enum $name { $( $(#[$variant_meta])* $variant, )+ }

        impl $name {
            /// All variants, in the order of their declaration.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The name in options, files and messages.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        $(
            impl std::str::FromStr for $name {
                type Err = $crate::error::Error;

                fn from_str(text: &str) -> $crate::error::Result<Self> {
                    $crate::named::find($noun, Self::ALL, Self::name, text)
                }
            }
        )?
    };
}

/// The one of `all` whose name is `text`; `noun` says in the error what was looked for.
///
/// # Errors
/// [`Code::ArgumentInvalid`] listing the names of all.
pub fn find<T: Copy>(
    noun: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        // A name comes from a file or a caller and may be of any length.
        let found: String = text.chars().take(64).collect();
        let message = format!("{noun}: expected one of {}, found {found:?}", names.join(", "));
        Error::new(Code::ArgumentInvalid, message)
    })
}

#[cfg(test)]
mod tests {
    named! {
        #[derive(Clone, Copy, Debug, PartialEq)]
        enum Side: "side" {
            Left = "left",
            Right = "right",
        }
    }

    #[test]
    fn names_are_read_back_and_others_are_refused() {
        for side in Side::ALL {
            assert_eq!(side.to_string().parse::<Side>().unwrap(), *side);
        }
        let message = "up".parse::<Side>().unwrap_err().to_string();
        assert_eq!(message, "side: expected one of left, right, found \"up\"");
    }
}
