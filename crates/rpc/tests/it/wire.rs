//! A reader of the protobuf encoding: tags, varints and length-delimited values.
//!
//! It knows no schema. Whether a length-delimited value is a message is told by the expectation it is
//! compared with, see [`read_like`].

/// One field as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) number: u64,
    pub(crate) value: Value,
}

/// The value of a field; the variant tells the wire type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2, holding text, bytes or packed numbers.
    Bytes(Vec<u8>),
    /// Wire type 2, holding a message.
    Message(Vec<Field>),
    /// A wire type that the contract does not use.
    Foreign(u64),
}

/// Reads one message, and inside it as messages those values that `expected` has as messages.
pub(crate) fn read_like(bytes: &[u8], expected: &[Field]) -> Vec<Field> {
    let mut fields = read(bytes);
    for (field, like) in fields.iter_mut().zip(expected) {
        if let (Value::Bytes(inner), Value::Message(shape)) = (&field.value, &like.value) {
            field.value = Value::Message(read_like(inner, shape));
        }
    }
    fields
}

fn read(mut rest: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut rest)),
            2 => {
                let length = usize::try_from(varint(&mut rest)).expect("a length");
                let (value, after) = rest.split_at(length);
                rest = after;
                Value::Bytes(value.to_vec())
            }
            foreign => {
                rest = &[];
                Value::Foreign(foreign)
            }
        };
        fields.push(Field { number: tag >> 3, value });
    }
    fields
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().expect("a varint goes on");
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
    }
    panic!("a varint of more than ten bytes");
}

#[test]
fn the_reader_reads_the_examples_of_the_protobuf_guide() {
    // https://protobuf.dev/programming-guides/encoding/
    assert_eq!(read(&[0x08, 0x96, 0x01]), [Field { number: 1, value: Value::Varint(150) }]);
    assert_eq!(
        read(&[0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]),
        [Field { number: 2, value: Value::Bytes(b"testing".to_vec()) }]
    );
    let inner = [Field { number: 1, value: Value::Varint(150) }];
    let outer = [Field { number: 3, value: Value::Message(inner.to_vec()) }];
    assert_eq!(read_like(&[0x1a, 0x03, 0x08, 0x96, 0x01], &outer), outer);
    assert_eq!(read(&[0x3d, 1, 2, 3, 4]), [Field { number: 7, value: Value::Foreign(5) }]);
}
