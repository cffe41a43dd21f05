//! Random numbers (PKCS#11 Base 3.0 section 5.16): the system's.
use getrandom::SysRng;
use rand_core::TryRng as _;

use crate::module::Call;
use crate::return_value::ReturnValue;
use crate::token::Handle;

/// C_GenerateRandom.
pub(crate) fn generate(session: Handle, bytes: &mut [u8]) -> Result<(), ReturnValue> {
    Call::on(session)?;
    SysRng.try_fill_bytes(bytes).map_err(|_| ReturnValue::FUNCTION_FAILED)
}

/// C_SeedRandom: the system's generator needs none.
pub(crate) fn seed(session: Handle) -> Result<(), ReturnValue> {
    Call::on(session)?;
    Err(ReturnValue::RANDOM_SEED_NOT_SUPPORTED)
}
