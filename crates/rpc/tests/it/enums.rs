//! The number of every enum value, and that there is none besides.

/// `path::Enum { number NAME; … }`, the numbers counting up from 0.
macro_rules! numbered {
    ($($module:ident::$($name:ident)::+ { $($number:literal $value:ident;)+ })+) => {
        #[test]
        fn each_enum_value_has_its_number() {
            $({
                use rpc::$module::$($name)::+ as Enum;
                $(
                    let value = Enum::try_from($number).expect("the number is in use");
                    assert_eq!(value.as_str_name(), stringify!($value));
                    assert_eq!(value as i32, $number);
                )+
                let numbers = [$($number),+];
                for stranger in [-1, numbers.len() as i32] {
                    assert!(Enum::try_from(stranger).is_err(), "{stranger} of {}", stringify!($($name)::+));
                }
            })+
        }
    };
}

numbered! {
    launch_request::network_options::Mode { 0 AUTO; 1 MANUAL; }
    launch_error::ErrorCodes {
        0 OK; 1 INVALID_MEM_SIZE; 2 INVALID_DISK_SIZE; 3 INVALID_HOSTNAME; 4 INVALID_NETWORK;
        5 ZONE_UNAVAILABLE;
    }
    launch_progress::ProgressType { 0 IMAGE; 1 EXTRACT; 2 VERIFY; 3 WAITING; }
    instance_status::Status {
        0 UNKNOWN; 1 RUNNING; 2 STARTING; 3 RESTARTING; 4 STOPPED; 5 DELETED; 6 DELAYED_SHUTDOWN;
        7 SUSPENDING; 8 SUSPENDED; 9 UNAVAILABLE;
    }
    mount_request::MountType { 0 CLASSIC; 1 NATIVE; }
    start_error::ErrorCode { 0 OK; 1 DOES_NOT_EXIST; 2 INSTANCE_DELETED; 3 OTHER; }
}
