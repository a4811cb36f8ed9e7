//! Every message of the contract: number, name and type of each field.
//!
//! The tables are typed from the contract. For each message they give two checks: one field set at a time,
//! which ties the name to the number, and all fields set, which also fails to compile when a field is added.

use std::fmt::Debug;

use prost::Message;
use rpc::*;

use crate::kind::{Bool, Enum, Int32, Int64, Kind, Map, Optional, Packed, Repeated, Text, Uint32, Uint64};
use crate::wire::{Field, Value, read_like};

/// Compares the encoding with the expectation and decodes it back.
#[track_caller]
fn check<M: Message + Debug + Default + PartialEq>(message: &M, expected: &[Field]) {
    let bytes = message.encode_to_vec();
    assert_eq!(read_like(&bytes, expected), expected, "{message:?}");
    assert!(M::decode(&bytes[..]).expect("decodes") == *message, "{message:?} comes back different");
}

/// `Message { number name: Kind; … oneof name: module::Enum { number Variant: Kind; … } }`
macro_rules! contract {
    ($(
        $message:path {
            $($number:literal $field:ident: $kind:ty;)*
            $(oneof $oneof:ident: $arms:ident::$choice:ident {
                $first_number:literal $first:ident: $first_kind:ty;
                $($arm_number:literal $arm:ident: $arm_kind:ty;)*
            })?
        }
    )+) => {
        $(impl Kind for $message {
            type Rust = Self;
            fn sample(_: &str) -> Self {
                Self {
                    $($field: <$kind>::sample(stringify!($field)),)*
                    $($oneof: Some($arms::$choice::$first(<$first_kind>::sample(stringify!($first)))),)?
                }
            }
            fn wire(number: u64, _: &str) -> Vec<Field> {
                let mut fields: Vec<Field> = Vec::new();
                $(fields.extend(<$kind>::wire($number, stringify!($field)));)*
                $(fields.extend(<$first_kind>::wire($first_number, stringify!($first)));)?
                fields.sort_by_key(|field| field.number);
                vec![Field { number, value: Value::Message(fields) }]
            }
        })+

        #[test]
        fn each_field_has_its_number_and_type() {
            $($({
                let mut message = <$message>::default();
                message.$field = <$kind>::sample(stringify!($field));
                check(&message, &<$kind>::wire($number, stringify!($field)));
            })*)+
        }

        #[test]
        fn each_arm_of_a_oneof_has_its_number_and_type() {
            $($({
                let message = |choice| {
                    let mut message = <$message>::default();
                    message.$oneof = Some(choice);
                    message
                };
                let choice = $arms::$choice::$first(<$first_kind>::sample(stringify!($first)));
                check(&message(choice), &<$first_kind>::wire($first_number, stringify!($first)));
                $({
                    let choice = $arms::$choice::$arm(<$arm_kind>::sample(stringify!($arm)));
                    check(&message(choice), &<$arm_kind>::wire($arm_number, stringify!($arm)));
                })*
            })?)+
        }

        #[test]
        fn whole_messages_read_as_the_contract_says() {
            $({
                let expected = <$message>::wire(0, "");
                let [Field { value: Value::Message(fields), .. }] = &expected[..] else {
                    panic!("a message is one field");
                };
                check(&<$message>::sample(""), fields);
            })+
        }

        #[test]
        fn no_message_is_left_out() {
            let proto = include_str!("../../proto/multipass.proto");
            let declared = proto.lines().filter(|line| line.trim_start().starts_with("message ")).count();
            // The table has the timestamp besides, which is declared elsewhere.
            assert_eq!([$(stringify!($message)),+].len(), declared + 1);
        }

        #[test]
        fn an_unset_message_is_empty_on_the_wire() {
            $(assert_eq!(<$message>::default().encode_to_vec(), [], stringify!($message));)+
        }
    };
}

contract! {
    prost_types::Timestamp { 1 seconds: Int64; 2 nanos: Int32; }

    LaunchRequest {
        1 instance_name: Text; 2 image: Text; 3 kernel_name: Text; 4 num_cores: Int32; 5 mem_size: Text;
        6 disk_space: Text; 7 time_zone: Text; 8 cloud_init_user_data: Text; 9 remote_name: Text;
        11 verbosity_level: Int32; 12 network_options: Repeated<launch_request::NetworkOptions>;
        13 permission_to_bridge: Bool; 14 timeout: Int32; 15 password: Text; 16 zone: Text;
    }

    launch_request::NetworkOptions { 1 id: Text; 2 mode: Enum; 3 mac_address: Text; }

    LaunchError { 1 error_codes: Packed<Enum>; }

    LaunchProgress { 1 r#type: Enum; 2 percent_complete: Text; }

    UpdateInfo { 1 version: Text; 2 url: Text; 3 title: Text; 4 description: Text; }

    LaunchReply {
        6 log_line: Text; 7 update_info: Optional<UpdateInfo>; 8 reply_message: Text;
        9 nets_need_bridging: Repeated<Text>; 10 aliases_to_be_created: Repeated<launch_reply::Alias>;
        11 workspaces_to_be_created: Repeated<Text>; 12 password_requested: Bool; 13 zone: Text;
        oneof create_oneof: launch_reply::CreateOneof {
            1 VmInstanceName: Text;
            2 LaunchProgress: LaunchProgress;
            3 CreateMessage: Text;
        }
    }

    launch_reply::Alias { 1 name: Text; 2 instance: Text; 3 command: Text; 4 working_directory: Text; }

    PurgeRequest { 1 verbosity_level: Int32; }

    PurgeReply { 1 log_line: Text; 2 purged_instances: Repeated<Text>; }

    FindRequest {
        1 search_string: Text; 2 remote_name: Text; 3 verbosity_level: Int32; 4 allow_unsupported: Bool;
        5 force_manifest_network_download: Bool;
    }

    FindReply { 1 images_info: Repeated<find_reply::ImageInfo>; 2 log_line: Text; }

    find_reply::ImageInfo {
        1 os: Text; 2 release: Text; 3 version: Text; 4 aliases: Repeated<Text>; 5 codename: Text;
        6 remote_name: Text;
    }

    InstanceSnapshotPair { 1 instance_name: Text; 2 snapshot_name: Optional<Text>; }

    InfoRequest {
        1 instance_snapshot_pairs: Repeated<InstanceSnapshotPair>; 3 verbosity_level: Int32;
        4 no_runtime_information: Bool; 5 snapshots: Bool;
    }

    IdMap { 1 host_id: Int32; 2 instance_id: Int32; }

    MountMaps { 1 uid_mappings: Repeated<IdMap>; 2 gid_mappings: Repeated<IdMap>; }

    MountInfo { 1 longest_path_len: Uint32; 2 mount_paths: Repeated<mount_info::MountPaths>; }

    mount_info::MountPaths { 1 source_path: Text; 2 target_path: Text; 3 mount_maps: Optional<MountMaps>; }

    InstanceStatus { 1 status: Enum; }

    InstanceDetails {
        1 image_release: Text; 2 current_release: Text; 3 id: Text; 4 load: Text; 5 memory_usage: Text;
        6 disk_usage: Text; 7 ipv4: Repeated<Text>; 9 num_snapshots: Optional<Int32>; 10 cpu_times: Text;
        11 uptime: Text; 12 creation_timestamp: Optional<prost_types::Timestamp>; 13 os: Text;
    }

    SnapshotFundamentals {
        1 snapshot_name: Text; 2 parent: Text; 3 comment: Text;
        4 creation_timestamp: Optional<prost_types::Timestamp>;
    }

    SnapshotDetails {
        1 fundamentals: Optional<SnapshotFundamentals>; 2 size: Text; 4 children: Repeated<Text>;
    }

    DetailedInfoItem {
        1 name: Text; 2 instance_status: Optional<InstanceStatus>; 3 memory_total: Text; 4 disk_total: Text;
        5 cpu_count: Text; 6 mount_info: Optional<MountInfo>; 9 zone: Optional<Zone>;
        oneof extra_info: detailed_info_item::ExtraInfo {
            7 InstanceInfo: InstanceDetails;
            8 SnapshotInfo: SnapshotDetails;
        }
    }

    InfoReply {
        1 details: Repeated<DetailedInfoItem>; 2 snapshots: Bool; 3 log_line: Text;
        4 update_info: Optional<UpdateInfo>;
    }

    ListRequest { 1 verbosity_level: Int32; 2 snapshots: Bool; 3 request_ipv4: Bool; }

    ListVmInstance {
        1 name: Text; 2 instance_status: Optional<InstanceStatus>; 3 ipv4: Repeated<Text>;
        5 current_release: Text; 6 os: Text; 7 zone: Optional<Zone>;
    }

    ListVmSnapshot { 1 name: Text; 2 fundamentals: Optional<SnapshotFundamentals>; }

    InstancesList { 1 instances: Repeated<ListVmInstance>; }

    SnapshotsList { 1 snapshots: Repeated<ListVmSnapshot>; }

    ListReply {
        3 log_line: Text; 4 update_info: Optional<UpdateInfo>;
        oneof list_contents: list_reply::ListContents {
            1 InstanceList: InstancesList;
            2 SnapshotList: SnapshotsList;
        }
    }

    NetworksRequest { 1 verbosity_level: Int32; }

    NetInterface { 1 name: Text; 2 r#type: Text; 3 description: Text; }

    NetworksReply {
        1 interfaces: Repeated<NetInterface>; 2 log_line: Text; 3 update_info: Optional<UpdateInfo>;
    }

    TargetPathInfo { 1 instance_name: Text; 2 target_path: Text; }

    MountRequest {
        1 source_path: Text; 2 target_paths: Repeated<TargetPathInfo>; 3 mount_maps: Optional<MountMaps>;
        4 verbosity_level: Int32; 5 mount_type: Enum; 6 password: Text;
    }

    MountReply { 1 log_line: Text; 2 reply_message: Text; 3 password_requested: Bool; }

    PingRequest {}

    PingReply {}

    InstanceNames { 1 instance_name: Repeated<Text>; }

    RecoverRequest { 1 instance_names: Optional<InstanceNames>; 2 verbosity_level: Int32; }

    RecoverReply { 1 log_line: Text; }

    SshInfoRequest { 1 instance_name: Repeated<Text>; 2 verbosity_level: Int32; }

    SshInfo { 1 port: Int32; 2 priv_key_base64: Text; 3 host: Text; 4 username: Text; }

    SshInfoReply { 1 ssh_info: Map<SshInfo>; 2 log_line: Text; }

    StartError { 1 instance_errors: Map<Enum>; }

    StartRequest {
        1 instance_names: Optional<InstanceNames>; 2 verbosity_level: Int32; 3 timeout: Int32;
        4 password: Text;
    }

    StartReply {
        1 log_line: Text; 2 reply_message: Text; 3 update_info: Optional<UpdateInfo>;
        4 password_requested: Bool;
    }

    StopRequest {
        1 instance_names: Optional<InstanceNames>; 2 time_minutes: Int32; 3 cancel_shutdown: Bool;
        4 verbosity_level: Int32; 5 force_stop: Bool;
    }

    StopReply { 1 log_line: Text; }

    SuspendRequest { 1 instance_names: Optional<InstanceNames>; 2 verbosity_level: Int32; }

    SuspendReply { 1 log_line: Text; }

    RestartRequest {
        1 instance_names: Optional<InstanceNames>; 2 verbosity_level: Int32; 3 timeout: Int32;
        4 password: Text;
    }

    RestartReply {
        1 log_line: Text; 2 reply_message: Text; 3 update_info: Optional<UpdateInfo>;
        4 password_requested: Bool;
    }

    DeleteRequest {
        1 instance_snapshot_pairs: Repeated<InstanceSnapshotPair>; 2 purge: Bool; 3 verbosity_level: Int32;
        4 purge_snapshots: Bool;
    }

    DeleteReply { 1 log_line: Text; 2 purged_instances: Repeated<Text>; 3 confirm_snapshot_purging: Bool; }

    UmountRequest { 1 target_paths: Repeated<TargetPathInfo>; 2 verbosity_level: Int32; }

    UmountReply { 1 log_line: Text; }

    VersionRequest { 1 verbosity_level: Int32; }

    VersionReply { 1 version: Text; 2 log_line: Text; 3 update_info: Optional<UpdateInfo>; }

    GetRequest { 1 key: Text; 2 verbosity_level: Int32; }

    GetReply { 1 value: Text; 2 log_line: Text; }

    SetRequest { 1 key: Text; 2 val: Text; 3 verbosity_level: Int32; 4 authorized: Bool; }

    SetReply { 1 log_line: Text; 2 reply_message: Text; 3 needs_authorization: Bool; }

    KeysRequest { 1 verbosity_level: Int32; }

    KeysReply { 1 log_line: Text; 2 settings_keys: Repeated<Text>; }

    AuthenticateRequest { 1 passphrase: Text; 2 verbosity_level: Int32; }

    AuthenticateReply { 1 log_line: Text; }

    SnapshotRequest { 1 instance: Text; 2 snapshot: Text; 3 comment: Text; 4 verbosity_level: Int32; }

    SnapshotReply { 1 snapshot: Text; 2 log_line: Text; }

    RestoreRequest { 1 instance: Text; 2 snapshot: Text; 3 destructive: Bool; 4 verbosity_level: Int32; }

    RestoreReply { 1 log_line: Text; 2 reply_message: Text; 3 confirm_destructive: Bool; }

    CloneRequest { 1 source_name: Text; 2 destination_name: Optional<Text>; 3 verbosity_level: Int32; }

    CloneReply { 1 reply_message: Text; 2 log_line: Text; }

    DaemonInfoRequest { 1 verbosity_level: Int32; }

    DaemonInfoReply { 1 log_line: Text; 2 available_space: Uint64; 3 cpus: Uint32; 4 memory: Uint64; }

    WaitReadyRequest { 1 verbosity_level: Int32; }

    WaitReadyReply { 1 log_line: Text; }

    Zone { 1 name: Text; 2 available: Bool; 3 subnet: Text; }

    ZonesRequest { 1 verbosity_level: Int32; }

    ZonesReply { 1 log_line: Text; 2 zones: Repeated<Zone>; }

    ZonesStateRequest { 1 verbosity_level: Int32; 2 available: Bool; 3 zones: Repeated<Text>; }

    ZonesStateReply { 1 log_line: Text; }
}
