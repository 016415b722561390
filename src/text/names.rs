//! The stable names of enums, as in JSON, logs and configuration files: [`stable_names`].

/// A text is none of the stable names of a type. The message lists the names, and never repeats the text.
///
/// ```
/// use whatsapp_phone::source::Assurance;
///
/// let error = "sure".parse::<Assurance>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "not an assurance; write one of: provisional, unverified, confirmed"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {what}; write one of: {}", .names.join(", "))]
pub struct UnknownName {
    what: &'static str,
    names: &'static [&'static str],
}

impl UnknownName {
    pub(crate) const fn new(what: &'static str, names: &'static [&'static str]) -> Self {
        Self { what, names }
    }
}

/// Gives the variants of an enum their stable names: `ALL`, a getter (`as_str`, or `code` for errors), `Display`,
/// `FromStr`, `Serialize` and `Deserialize`. A variant with a value has one name for each value.
macro_rules! stable_names {
    ($type:ty, $what:literal, $get:ident { $($variant:ident $(($value:path))? = $name:expr,)* }) => {
        impl $type {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant $(($value))?,)*];

            /// Returns the stable name, as in JSON and logs.
            #[must_use]
            pub const fn $get(self) -> &'static str {
                match self { $(Self::$variant $(($value))? => $name,)* }
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.$get())
            }
        }

        impl ::std::str::FromStr for $type {
            type Err = $crate::text::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().find(|one| one.$get() == text);
                found.copied().ok_or($crate::text::UnknownName::new($what, &[$($name,)*]))
            }
        }

        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.$get())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::text::read_text(deserializer, concat!($what, " is a string"), str::parse)
            }
        }
    };
}
pub(crate) use stable_names;
