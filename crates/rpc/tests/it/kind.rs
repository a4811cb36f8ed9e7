//! The types of the contract: for each a sample value in Rust, and what it has to look like on the wire.

use std::collections::HashMap;
use std::marker::PhantomData;

use crate::wire::{Field, Value};

/// A type as the contract names it.
pub(crate) trait Kind {
    /// What the generated code holds.
    type Rust;
    /// A value that is not the default; texts differ by `seed`.
    fn sample(seed: &str) -> Self::Rust;
    /// The same value as a field, or as several when repeated.
    fn wire(number: u64, seed: &str) -> Vec<Field>;
}

/// A kind whose sample is one varint.
pub(crate) trait Scalar: Kind {
    const VARINT: u64;
}

macro_rules! scalar {
    ($(#[$doc:meta] $kind:ident: $rust:ty = $sample:expr => $varint:expr;)+) => { $(
        #[$doc]
        pub(crate) struct $kind;

        impl Kind for $kind {
            type Rust = $rust;
            fn sample(_: &str) -> $rust {
                $sample
            }
            fn wire(number: u64, _: &str) -> Vec<Field> {
                vec![Field { number, value: Value::Varint($varint) }]
            }
        }

        impl Scalar for $kind {
            const VARINT: u64 = $varint;
        }
    )+ };
}

scalar! {
    /// `bool`
    Bool: bool = true => 1;
    /// `int32`: a negative value is extended to 64 bits, which tells it from `sint32` and `uint32`.
    Int32: i32 = -2 => 0xffff_ffff_ffff_fffe;
    /// `int64`
    Int64: i64 = 1_700_000_000 => 1_700_000_000;
    /// `uint32`
    Uint32: u32 = u32::MAX => 0xffff_ffff;
    /// `uint64`
    Uint64: u64 = u64::MAX => 0xffff_ffff_ffff_ffff;
    /// An enum; the numbers of each are pinned in `enums`.
    Enum: i32 = 1 => 1;
}

/// `string`
pub(crate) struct Text;

impl Kind for Text {
    type Rust = String;
    fn sample(seed: &str) -> String {
        format!("{seed} ö")
    }
    fn wire(number: u64, seed: &str) -> Vec<Field> {
        // Typed as bytes: the text is UTF-8 on the wire.
        let bytes = [seed.as_bytes(), b" \xc3\xb6"].concat();
        vec![Field { number, value: Value::Bytes(bytes) }]
    }
}

/// `optional T`, and any message field that is not repeated.
pub(crate) struct Optional<T>(PhantomData<T>);

impl<T: Kind> Kind for Optional<T> {
    type Rust = Option<T::Rust>;
    fn sample(seed: &str) -> Self::Rust {
        Some(T::sample(seed))
    }
    fn wire(number: u64, seed: &str) -> Vec<Field> {
        T::wire(number, seed)
    }
}

/// `repeated T` of texts or messages: one field for each value.
pub(crate) struct Repeated<T>(PhantomData<T>);

impl<T: Kind> Kind for Repeated<T> {
    type Rust = Vec<T::Rust>;
    fn sample(seed: &str) -> Self::Rust {
        vec![T::sample(seed), T::sample("second")]
    }
    fn wire(number: u64, seed: &str) -> Vec<Field> {
        [T::wire(number, seed), T::wire(number, "second")].concat()
    }
}

/// `repeated T` of numbers: all in one field.
pub(crate) struct Packed<T>(PhantomData<T>);

impl<T: Scalar> Kind for Packed<T> {
    type Rust = Vec<T::Rust>;
    fn sample(seed: &str) -> Self::Rust {
        vec![T::sample(seed), T::sample(seed)]
    }
    fn wire(number: u64, _: &str) -> Vec<Field> {
        let byte = u8::try_from(T::VARINT).expect("a sample of one byte");
        vec![Field { number, value: Value::Bytes(vec![byte, byte]) }]
    }
}

/// `map<string, T>`: a repeated message with the key as field 1 and the value as field 2.
pub(crate) struct Map<T>(PhantomData<T>);

impl<T: Kind> Kind for Map<T> {
    type Rust = HashMap<String, T::Rust>;
    fn sample(seed: &str) -> Self::Rust {
        HashMap::from([(Text::sample(seed), T::sample(seed))])
    }
    fn wire(number: u64, seed: &str) -> Vec<Field> {
        let entry = [Text::wire(1, seed), T::wire(2, seed)].concat();
        vec![Field { number, value: Value::Message(entry) }]
    }
}
