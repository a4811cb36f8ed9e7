//! What is absent and what is unknown: `optional` fields, and fields and enum values of other releases.

use prost::Message;
use rpc::{CloneRequest, InstanceDetails, InstanceSnapshotPair, InstanceStatus, ListRequest, StartError};

#[test]
fn an_optional_field_set_to_its_default_is_on_the_wire() {
    let pair = InstanceSnapshotPair { instance_name: String::new(), snapshot_name: Some(String::new()) };
    assert_eq!(pair.encode_to_vec(), [0x12, 0]);

    let details = InstanceDetails { num_snapshots: Some(0), ..Default::default() };
    assert_eq!(details.encode_to_vec(), [0x48, 0]);

    let clone = CloneRequest { destination_name: Some(String::new()), ..Default::default() };
    assert_eq!(clone.encode_to_vec(), [0x12, 0]);
}

#[test]
fn an_optional_field_that_is_absent_is_told_from_its_default() {
    let pair = |bytes: &[u8]| InstanceSnapshotPair::decode(bytes).expect("decodes").snapshot_name;
    assert_eq!((pair(&[]), pair(&[0x12, 0])), (None, Some(String::new())));

    let details = |bytes: &[u8]| InstanceDetails::decode(bytes).expect("decodes").num_snapshots;
    assert_eq!((details(&[]), details(&[0x48, 0])), (None, Some(0)));

    let clone = |bytes: &[u8]| CloneRequest::decode(bytes).expect("decodes").destination_name;
    assert_eq!((clone(&[]), clone(&[0x12, 0])), (None, Some(String::new())));
}

#[test]
fn the_retired_ipv6_field_is_passed_over() {
    let details = InstanceDetails::decode(&b"\x42\x03::1\x6a\x02os"[..]).expect("decodes");
    assert_eq!(details, InstanceDetails { os: "os".to_owned(), ..Default::default() });
}

#[test]
fn fields_of_later_releases_are_passed_over() {
    let request = ListRequest::decode(&[0x08, 2, 0xfa, 0x07, 1, 0xff][..]).expect("decodes");
    assert_eq!(request, ListRequest { verbosity_level: 2, ..Default::default() });
}

#[test]
fn an_enum_value_of_a_later_release_keeps_its_number() {
    let status = InstanceStatus::decode(&[0x08, 99][..]).expect("decodes");
    assert_eq!((status.status, status.status()), (99, rpc::instance_status::Status::Unknown));
}

#[test]
fn a_map_entry_may_leave_out_what_is_default() {
    let error = StartError::decode(&b"\x0a\x05\x0a\x03foo"[..]).expect("decodes");
    assert_eq!(error.instance_errors.get("foo"), Some(&0));
}
