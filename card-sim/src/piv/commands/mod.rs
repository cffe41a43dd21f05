//! The card commands of SP 800-73-5 Part 2 section 3, one file each.

pub mod change_reference_data;
pub mod general_authenticate;
pub mod generate_asymmetric_key_pair;
pub mod get_data;
pub mod put_data;
pub mod reset_retry_counter;
pub mod select;
pub mod verify;
