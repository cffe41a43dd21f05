//! The C boundary of PKCS#11 2.40: the function list, pointers in and out, and no panic beyond it.
//!
//! All `unsafe` code of the module is here. What makes it sound is the application's part of the contract (Base 2.40
//! section 5): a pointer argument is null or points to memory of its type that is the caller's to read and write for
//! the time of the call. Null and misaligned pointers are refused with `CKR_ARGUMENTS_BAD`.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{c_uchar, c_ulong, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::functions::{general, slot};
use crate::module::Module;
use crate::return_value::ReturnValue;
use crate::structures::{Info, SlotInfo, TokenInfo, Version};

type Bytes = *mut c_uchar;
type Length = *mut c_ulong;
type Pointer = *mut c_void;
type Session = c_ulong;
type Object = c_ulong;

/// `CK_C_INITIALIZE_ARGS`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct InitializeArguments {
    functions: [Option<unsafe extern "C" fn()>; 4],
    flags: c_ulong,
    reserved: Pointer,
}

const OS_LOCKING_OK: c_ulong = 0x0000_0002;

/// Declares every function in the standard's order: its symbol, its place in the list, its body.
macro_rules! function_list {
    ($($name:ident($($argument:ident: $type:ty),*) $body:block)*) => {
        /// `CK_FUNCTION_LIST` (section 3.6).
        #[cfg_attr(not(windows), repr(C))]
        #[cfg_attr(windows, repr(C, packed))]
        pub(crate) struct FunctionList {
            version: Version,
            $($name: unsafe extern "C" fn($($type),*) -> c_ulong,)*
        }

        static FUNCTION_LIST: FunctionList = FunctionList { version: general::CRYPTOKI_VERSION, $($name,)* };

        $(
            // SAFETY: the name is the standard's, and no other symbol of this module has it.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) -> c_ulong {
                guarded(|| {
                    $(let _ = $argument;)*
                    $body
                })
            }
        )*
    };
}

const NOT_SUPPORTED: Result<(), ReturnValue> = Err(ReturnValue::FUNCTION_NOT_SUPPORTED);

function_list! {
    C_Initialize(arguments: *mut InitializeArguments) { general::initialize(locking(arguments)?.as_ref()) }
    C_Finalize(reserved: Pointer) {
        if reserved.is_null() { Module::finalize() } else { Err(ReturnValue::ARGUMENTS_BAD) }
    }
    C_GetInfo(info: *mut Info) { fill(info, general::info) }
    C_GetFunctionList(list: *mut *const FunctionList) { fill(list, || Ok(&raw const FUNCTION_LIST)) }
    C_GetSlotList(only_with_token: c_uchar, list: *mut c_ulong, count: Length) {
        fill_list(list, count, |refresh| slot::slot_list(only_with_token != 0, refresh))
    }
    C_GetSlotInfo(slot: c_ulong, info: *mut SlotInfo) { fill(info, || slot::slot_info(slot)) }
    C_GetTokenInfo(slot: c_ulong, info: *mut TokenInfo) { fill(info, || slot::token_info(slot)) }
    C_GetMechanismList(slot: c_ulong, list: Length, count: Length) { NOT_SUPPORTED }
    C_GetMechanismInfo(slot: c_ulong, mechanism: c_ulong, info: Pointer) { NOT_SUPPORTED }
    C_InitToken(slot: c_ulong, pin: Bytes, length: c_ulong, label: Bytes) { NOT_SUPPORTED }
    C_InitPIN(session: Session, pin: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_SetPIN(session: Session, old: Bytes, old_length: c_ulong, new: Bytes, new_length: c_ulong) { NOT_SUPPORTED }
    C_OpenSession(slot: c_ulong, flags: c_ulong, application: Pointer, notify: Pointer, session: Length) { NOT_SUPPORTED }
    C_CloseSession(session: Session) { NOT_SUPPORTED }
    C_CloseAllSessions(slot: c_ulong) { NOT_SUPPORTED }
    C_GetSessionInfo(session: Session, info: Pointer) { NOT_SUPPORTED }
    C_GetOperationState(session: Session, state: Bytes, length: Length) { NOT_SUPPORTED }
    C_SetOperationState(session: Session, state: Bytes, length: c_ulong, encryption: Object, authentication: Object) { NOT_SUPPORTED }
    C_Login(session: Session, user: c_ulong, pin: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_Logout(session: Session) { NOT_SUPPORTED }
    C_CreateObject(session: Session, template: Pointer, count: c_ulong, object: Length) { NOT_SUPPORTED }
    C_CopyObject(session: Session, from: Object, template: Pointer, count: c_ulong, to: Length) { NOT_SUPPORTED }
    C_DestroyObject(session: Session, object: Object) { NOT_SUPPORTED }
    C_GetObjectSize(session: Session, object: Object, size: Length) { NOT_SUPPORTED }
    C_GetAttributeValue(session: Session, object: Object, template: Pointer, count: c_ulong) { NOT_SUPPORTED }
    C_SetAttributeValue(session: Session, object: Object, template: Pointer, count: c_ulong) { NOT_SUPPORTED }
    C_FindObjectsInit(session: Session, template: Pointer, count: c_ulong) { NOT_SUPPORTED }
    C_FindObjects(session: Session, objects: Length, room: c_ulong, count: Length) { NOT_SUPPORTED }
    C_FindObjectsFinal(session: Session) { NOT_SUPPORTED }
    C_EncryptInit(session: Session, mechanism: Pointer, key: Object) { NOT_SUPPORTED }
    C_Encrypt(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_EncryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_EncryptFinal(session: Session, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DecryptInit(session: Session, mechanism: Pointer, key: Object) { NOT_SUPPORTED }
    C_Decrypt(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DecryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DecryptFinal(session: Session, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DigestInit(session: Session, mechanism: Pointer) { NOT_SUPPORTED }
    C_Digest(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DigestUpdate(session: Session, data: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_DigestKey(session: Session, key: Object) { NOT_SUPPORTED }
    C_DigestFinal(session: Session, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_SignInit(session: Session, mechanism: Pointer, key: Object) { NOT_SUPPORTED }
    C_Sign(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_SignUpdate(session: Session, data: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_SignFinal(session: Session, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_SignRecoverInit(session: Session, mechanism: Pointer, key: Object) { NOT_SUPPORTED }
    C_SignRecover(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_VerifyInit(session: Session, mechanism: Pointer, key: Object) { NOT_SUPPORTED }
    C_Verify(session: Session, data: Bytes, length: c_ulong, signature: Bytes, signature_length: c_ulong) { NOT_SUPPORTED }
    C_VerifyUpdate(session: Session, data: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_VerifyFinal(session: Session, signature: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_VerifyRecoverInit(session: Session, mechanism: Pointer, key: Object) { NOT_SUPPORTED }
    C_VerifyRecover(session: Session, signature: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DigestEncryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DecryptDigestUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_SignEncryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_DecryptVerifyUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_GenerateKey(session: Session, mechanism: Pointer, template: Pointer, count: c_ulong, key: Length) { NOT_SUPPORTED }
    C_GenerateKeyPair(session: Session, mechanism: Pointer, public: Pointer, public_count: c_ulong, private: Pointer, private_count: c_ulong, public_key: Length, private_key: Length) { NOT_SUPPORTED }
    C_WrapKey(session: Session, mechanism: Pointer, wrapping: Object, key: Object, out: Bytes, out_length: Length) { NOT_SUPPORTED }
    C_UnwrapKey(session: Session, mechanism: Pointer, unwrapping: Object, wrapped: Bytes, length: c_ulong, template: Pointer, count: c_ulong, key: Length) { NOT_SUPPORTED }
    C_DeriveKey(session: Session, mechanism: Pointer, base: Object, template: Pointer, count: c_ulong, key: Length) { NOT_SUPPORTED }
    C_SeedRandom(session: Session, seed: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_GenerateRandom(session: Session, out: Bytes, length: c_ulong) { NOT_SUPPORTED }
    C_GetFunctionStatus(session: Session) { Err(ReturnValue::FUNCTION_NOT_PARALLEL) }
    C_CancelFunction(session: Session) { Err(ReturnValue::FUNCTION_NOT_PARALLEL) }
    C_WaitForSlotEvent(flags: c_ulong, slot: Length, reserved: Pointer) { NOT_SUPPORTED }
}

/// A panic must not cross into C. What it interrupted is behind a lock that survives it.
fn guarded(body: impl FnOnce() -> Result<(), ReturnValue>) -> c_ulong {
    let result = catch_unwind(AssertUnwindSafe(body));
    ReturnValue::of(result.unwrap_or(Err(ReturnValue::GENERAL_ERROR)))
}

/// Reads `CK_C_INITIALIZE_ARGS`; null means that one thread calls at a time.
fn locking(arguments: *const InitializeArguments) -> Result<Option<general::Locking>, ReturnValue> {
    if arguments.is_null() {
        return Ok(None);
    }
    check(arguments)?;
    // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
    let arguments = unsafe { arguments.read() };
    if !arguments.reserved.is_null() {
        return Err(ReturnValue::ARGUMENTS_BAD);
    }
    let functions = arguments.functions;
    Ok(Some(general::Locking {
        functions: functions.iter().flatten().count(),
        system_is_allowed: arguments.flags & OS_LOCKING_OK != 0,
    }))
}

/// Writes one structure, if it could be made.
fn fill<T>(to: *mut T, make: impl FnOnce() -> Result<T, ReturnValue>) -> Result<(), ReturnValue> {
    check(to)?;
    let value = make()?;
    // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
    unsafe { to.write(value) };
    Ok(())
}

/// Writes a list by the rules of section 5.2: a null list asks for the number of entries alone; too little room answers
/// that number with `CKR_BUFFER_TOO_SMALL`. `make` hears whether only the number is asked for.
fn fill_list(
    list: *mut c_ulong,
    count: Length,
    make: impl FnOnce(bool) -> Result<Vec<c_ulong>, ReturnValue>,
) -> Result<(), ReturnValue> {
    check(count)?;
    if !list.is_null() {
        check(list)?;
    }
    let entries = make(list.is_null())?;
    let needed = c_ulong::try_from(entries.len()).map_err(|_| ReturnValue::GENERAL_ERROR)?;
    // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
    let room = unsafe { count.replace(needed) };
    if list.is_null() {
        return Ok(());
    }
    if room < needed {
        return Err(ReturnValue::BUFFER_TOO_SMALL);
    }
    // SAFETY: checked above to be neither null nor misaligned; the application says that it has room for `room`
    // entries, which is not less than what is written, and a fresh vector does not overlap it.
    unsafe { list.copy_from_nonoverlapping(entries.as_ptr(), entries.len()) };
    Ok(())
}

fn check<T>(pointer: *const T) -> Result<(), ReturnValue> {
    if pointer.is_null() || !pointer.is_aligned() { Err(ReturnValue::ARGUMENTS_BAD) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::ptr::{null, null_mut};
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const OK: c_ulong = 0;
    const SLOT_ID_INVALID: c_ulong = 0x03;
    const ARGUMENTS_BAD: c_ulong = 0x07;
    const CANT_LOCK: c_ulong = 0x0A;
    const FUNCTION_NOT_PARALLEL: c_ulong = 0x51;
    const FUNCTION_NOT_SUPPORTED: c_ulong = 0x54;
    const NOT_INITIALIZED: c_ulong = 0x190;
    const ALREADY_INITIALIZED: c_ulong = 0x191;

    /// The module is one for the whole process: these tests take turns.
    static TURN: Mutex<()> = Mutex::new(());

    fn list() -> &'static FunctionList {
        let mut list = null();
        // SAFETY: the pointer is to a variable of the right type; the list it gets is a static.
        unsafe {
            assert_eq!(C_GetFunctionList(&mut list), OK);
            &*list
        }
    }

    /// Initialises, acts, finalises.
    fn initialized(act: impl FnOnce(&FunctionList)) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let list = list();
        // SAFETY: a null argument is allowed (section 5.4).
        unsafe {
            assert_eq!((list.C_Initialize)(null_mut()), OK);
            act(list);
            assert_eq!((list.C_Finalize)(null_mut()), OK);
        }
    }

    #[test]
    fn the_list_says_2_40_and_has_every_function() {
        let list = list();
        assert_eq!(list.version, Version { major: 2, minor: 40 });
        // Section 3.6: 68 functions after the version.
        assert_eq!(size_of::<FunctionList>(), 69 * size_of::<usize>());
        // SAFETY: these functions read no argument.
        unsafe {
            assert_eq!((list.C_CloseSession)(1), FUNCTION_NOT_SUPPORTED);
            assert_eq!((list.C_GenerateRandom)(1, null_mut(), 0), FUNCTION_NOT_SUPPORTED);
            assert_eq!((list.C_WaitForSlotEvent)(0, null_mut(), null_mut()), FUNCTION_NOT_SUPPORTED);
            assert_eq!((list.C_GetFunctionStatus)(1), FUNCTION_NOT_PARALLEL);
            assert_eq!((list.C_CancelFunction)(1), FUNCTION_NOT_PARALLEL);
            assert_eq!(C_GetFunctionList(null_mut()), ARGUMENTS_BAD);
        }
    }

    #[test]
    fn nothing_works_outside_initialize_and_finalize() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let list = list();
        let mut count = 7;
        let mut info = MaybeUninit::<Info>::uninit();
        // SAFETY: every pointer is null or to a variable of the right type.
        unsafe {
            assert_eq!((list.C_Finalize)(null_mut()), NOT_INITIALIZED);
            assert_eq!((list.C_GetInfo)(info.as_mut_ptr()), NOT_INITIALIZED);
            assert_eq!((list.C_GetSlotList)(0, null_mut(), &mut count), NOT_INITIALIZED);
            assert_eq!(count, 7, "a failed call writes nothing");
            assert_eq!((list.C_Initialize)(null_mut()), OK);
            assert_eq!((list.C_Initialize)(null_mut()), ALREADY_INITIALIZED);
            assert_eq!((list.C_Finalize)(NonNullDangling::POINTER), ARGUMENTS_BAD);
            assert_eq!((list.C_Finalize)(null_mut()), OK);
            assert_eq!((list.C_Finalize)(null_mut()), NOT_INITIALIZED);
        }
    }

    /// Something that is not null, for arguments that are only compared with null.
    struct NonNullDangling;
    impl NonNullDangling {
        const POINTER: Pointer = std::ptr::dangling_mut::<u64>().cast();
    }

    unsafe extern "C" fn a_mutex_function() {}

    #[test]
    fn locking_arguments_are_taken_as_the_standard_says() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let list = list();
        let function: Option<unsafe extern "C" fn()> = Some(a_mutex_function);
        let cases = [
            ([None; 4], 0, OK),
            ([None; 4], OS_LOCKING_OK, OK),
            ([function; 4], OS_LOCKING_OK, OK),
            ([function; 4], 0, CANT_LOCK),
            ([function, None, None, None], OS_LOCKING_OK, ARGUMENTS_BAD),
        ];
        for (functions, flags, expected) in cases {
            let mut arguments = InitializeArguments { functions, flags, reserved: null_mut() };
            // SAFETY: the pointer is to a variable of the right type.
            unsafe {
                assert_eq!((list.C_Initialize)(&mut arguments), expected);
                if expected == OK {
                    assert_eq!((list.C_Finalize)(null_mut()), OK);
                }
            }
        }
        let mut reserved =
            InitializeArguments { functions: [None; 4], flags: 0, reserved: NonNullDangling::POINTER };
        // SAFETY: the pointer is to a variable of the right type.
        assert_eq!(unsafe { (list.C_Initialize)(&mut reserved) }, ARGUMENTS_BAD);
    }

    #[test]
    fn the_library_says_what_it_is() {
        initialized(|list| {
            let mut info = MaybeUninit::<Info>::uninit();
            // SAFETY: the pointer is to a variable of the right type, which is read only after success.
            let info = unsafe {
                assert_eq!((list.C_GetInfo)(info.as_mut_ptr()), OK);
                info.assume_init()
            };
            assert_eq!(info.cryptoki_version, Version { major: 2, minor: 40 });
            assert!(info.manufacturer_id.starts_with(b"Sealwright "));
            // SAFETY: null is refused before anything is written.
            assert_eq!(unsafe { (list.C_GetInfo)(null_mut()) }, ARGUMENTS_BAD);
        });
    }

    #[test]
    fn a_slot_that_is_not_there_is_invalid() {
        initialized(|list| {
            let mut slot_info = MaybeUninit::<SlotInfo>::uninit();
            let mut token_info = MaybeUninit::<TokenInfo>::uninit();
            // SAFETY: every pointer is null or to a variable of the right type.
            unsafe {
                assert_eq!((list.C_GetSlotInfo)(9999, slot_info.as_mut_ptr()), SLOT_ID_INVALID);
                assert_eq!((list.C_GetTokenInfo)(c_ulong::MAX, token_info.as_mut_ptr()), SLOT_ID_INVALID);
                assert_eq!((list.C_GetTokenInfo)(0, null_mut()), ARGUMENTS_BAD);
                assert_eq!((list.C_GetSlotList)(0, null_mut(), null_mut()), ARGUMENTS_BAD);
            }
        });
    }

    /// Section 5.2.
    #[test]
    fn lists_follow_the_rules_for_their_length() {
        let make = |_| Ok(vec![3, 5, 8]);
        let mut count = 0;
        let mut room = [0; 4];
        assert_eq!(fill_list(null_mut(), &mut count, make), Ok(()));
        assert_eq!(count, 3);
        count = 2;
        assert_eq!(fill_list(room.as_mut_ptr(), &mut count, make), Err(ReturnValue::BUFFER_TOO_SMALL));
        assert_eq!((count, room), (3, [0; 4]));
        count = 4;
        assert_eq!(fill_list(room.as_mut_ptr(), &mut count, make), Ok(()));
        assert_eq!((count, room), (3, [3, 5, 8, 0]));
        let misaligned = room.as_mut_ptr().cast::<u8>().wrapping_add(1).cast();
        assert_eq!(fill_list(misaligned, &mut count, make), Err(ReturnValue::ARGUMENTS_BAD));
    }

    #[test]
    fn a_panic_becomes_a_return_value() {
        assert_eq!(guarded(|| panic!("inside")), 5);
        assert_eq!(guarded(|| Ok(())), OK);
    }
}
