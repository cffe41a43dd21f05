//! The C boundary of PKCS#11 3.0 and 2.40: function lists, interfaces, pointers in and out, and no panic beyond it.
//!
//! All `unsafe` code of the module is here. What makes it sound is the application's part of the contract (Base 3.0
//! section 5): a pointer argument is null or points to memory of its type that is the caller's to read and write for
//! the time of the call. Null and misaligned pointers, and lengths that no memory has, are refused.
#![allow(unsafe_code, non_snake_case)]

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_uchar, c_ulong, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use zeroize::Zeroizing;

use crate::attribute::{AttributeType, Attributes};
use crate::functions::{
    decrypt, digest, encrypt, general, key, object, pin_entry, random, session, sign, slot, verify,
};
use crate::mechanism::{MechanismType, Parameter, ParameterForm, Request};
use crate::module::{Module, Process};
use crate::object::{Object, Shown};
use crate::output::{Output, Room};
use crate::return_value::ReturnValue;
use crate::structures::{Info, MechanismInfo, SessionInfo, SlotInfo, TokenInfo, Version};

type Bytes = *mut c_uchar;
type Length = *mut c_ulong;
type Pointer = *mut c_void;
type Session = c_ulong;
type Handle = c_ulong;
type Template = *mut Attribute;
type Answer = Result<(), ReturnValue>;

/// `CK_C_INITIALIZE_ARGS`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct InitializeArguments {
    functions: [Option<unsafe extern "C" fn()>; 4],
    flags: c_ulong,
    reserved: Pointer,
}

/// `CK_ATTRIBUTE`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct Attribute {
    pub(crate) kind: AttributeType,
    pub(crate) value: Pointer,
    pub(crate) length: c_ulong,
}

/// `CK_MECHANISM`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct Mechanism {
    pub(crate) kind: MechanismType,
    pub(crate) parameter: Pointer,
    pub(crate) length: c_ulong,
}

/// `CK_RSA_PKCS_OAEP_PARAMS`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct OaepParameters {
    pub(crate) hash: c_ulong,
    pub(crate) mask: c_ulong,
    pub(crate) source: c_ulong,
    pub(crate) label: Bytes,
    pub(crate) label_length: c_ulong,
}

/// `CK_ECDH1_DERIVE_PARAMS`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct EcdhParameters {
    pub(crate) function: c_ulong,
    pub(crate) shared_length: c_ulong,
    pub(crate) shared: Bytes,
    pub(crate) public_length: c_ulong,
    pub(crate) public: Bytes,
}

/// `CK_EDDSA_PARAMS`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
struct EddsaParameters {
    prehash: c_uchar,
    context_length: c_ulong,
    context: Bytes,
}

/// `CK_INTERFACE`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct Interface {
    name: *const c_char,
    functions: *const c_void,
    flags: c_ulong,
}

/// Interfaces in memory that may be written: the standard's pointer to one is not const, and OpenSC's spy puts its own
/// function lists there.
struct Interfaces(UnsafeCell<[Interface; 2]>);

// SAFETY: the pointers are to statics that nobody writes; whoever writes to an interface outside of this module answers
// for it, and we only copy them.
unsafe impl Sync for Interfaces {}

const CANT_CREATE_THREADS: c_ulong = 0x0000_0001;
const OS_LOCKING_OK: c_ulong = 0x0000_0002;
const INTERFACE_NAME: &CStr = c"PKCS 11";
/// Templates are short; a longer one is a mistake.
const MOST_ATTRIBUTES: usize = 4096;
/// No attribute of anything here is longer.
const LONGEST_ATTRIBUTE: usize = 1 << 20;
/// No PIN, PUK or management key is longer, however it is written.
const LONGEST_PIN: usize = 256;
/// No mechanism's parameter is longer.
const LONGEST_PARAMETER: usize = 1 << 16;

/// Declares every function in the standard's order: its symbol, its place in the lists, its body.
macro_rules! function_lists {
    (
        2.40 { $($name:ident($($argument:ident: $type:ty),*) $body:block)* }
        3.0 { $($name_3:ident($($argument_3:ident: $type_3:ty),*) $body_3:block)* }
    ) => {
        /// `CK_FUNCTION_LIST` (section 3.6).
        #[cfg_attr(not(windows), repr(C))]
        #[cfg_attr(windows, repr(C, packed))]
        pub(crate) struct FunctionList {
            version: Version,
            $($name: unsafe extern "C" fn($($type),*) -> c_ulong,)*
        }

        /// `CK_FUNCTION_LIST_3_0`.
        #[cfg_attr(not(windows), repr(C))]
        #[cfg_attr(windows, repr(C, packed))]
        pub(crate) struct FunctionList3 {
            version: Version,
            $($name: unsafe extern "C" fn($($type),*) -> c_ulong,)*
            $($name_3: unsafe extern "C" fn($($type_3),*) -> c_ulong,)*
        }

        static FUNCTION_LIST: FunctionList = FunctionList { version: general::EARLIER_VERSION, $($name,)* };
        static FUNCTION_LIST_3: FunctionList3 =
            FunctionList3 { version: general::CRYPTOKI_VERSION, $($name,)* $($name_3,)* };

        function_lists!(@functions $($name($($argument: $type),*) $body)* $($name_3($($argument_3: $type_3),*) $body_3)*);
    };
    (@functions $($name:ident($($argument:ident: $type:ty),*) $body:block)*) => {
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

        /// Calls a function by its number with arguments of the fuzz function's making; `None` beyond the last.
        #[cfg(all(test, feature = "sim"))]
        pub(crate) fn call(number: usize, source: &mut dyn Source) -> Option<(&'static str, c_ulong)> {
            let mut next = 0..;
            $(
                if next.next() == Some(number) {
                    $(let $argument = <$type as FromSource>::take(source);)*
                    // SAFETY: the source's pointers are null, misaligned, or to memory of their type that is the
                    // source's to give, and longer than its lengths that are not absurd.
                    return Some((stringify!($name), unsafe { $name($($argument),*) }));
                }
            )*
            None
        }
    };
}

/// Where the fuzz function's arguments come from.
#[cfg(all(test, feature = "sim"))]
pub(crate) trait Source {
    fn number(&mut self) -> c_ulong;
    /// A place of plain numbers, or one that is never read.
    fn memory(&mut self) -> Pointer;
    fn template(&mut self) -> Template;
    fn mechanism(&mut self) -> *mut Mechanism;
    fn name(&mut self) -> *const c_char;
}

/// An argument of a C function, from a [`Source`].
#[cfg(all(test, feature = "sim"))]
trait FromSource {
    fn take(source: &mut dyn Source) -> Self;
}

#[cfg(all(test, feature = "sim"))]
macro_rules! from_source {
    ($($type:ty: $source:ident => $made:expr;)*) => {
        $(impl FromSource for $type {
            fn take($source: &mut dyn Source) -> Self {
                $made
            }
        })*
    };
}

#[cfg(all(test, feature = "sim"))]
from_source! {
    c_ulong: source => source.number();
    c_uchar: source => u8::from(source.number() % 2 == 1);
    Template: source => source.template();
    *mut Mechanism: source => source.mechanism();
    *const c_char: source => source.name();
    *mut InitializeArguments: _source => null_mut();
    Bytes: source => source.memory().cast();
    Length: source => source.memory().cast();
    Pointer: source => source.memory();
    *mut Info: source => source.memory().cast();
    *mut SlotInfo: source => source.memory().cast();
    *mut TokenInfo: source => source.memory().cast();
    *mut SessionInfo: source => source.memory().cast();
    *mut MechanismInfo: source => source.memory().cast();
    *mut Version: source => source.memory().cast();
    *mut Interface: source => source.memory().cast();
    *mut *const Interface: source => source.memory().cast();
    *mut *const FunctionList: source => source.memory().cast();
}

const NOT_SUPPORTED: Answer = Err(ReturnValue::FUNCTION_NOT_SUPPORTED);

function_lists! {
    2.40 {
        C_Initialize(arguments: *mut InitializeArguments) { general::initialize(locking(arguments)?.as_ref()) }
        C_Finalize(reserved: Pointer) {
            if reserved.is_null() { Module::finalize() } else { Err(ReturnValue::ARGUMENTS_BAD) }
        }
        C_GetInfo(info: *mut Info) { fill(info, general::info) }
        C_GetFunctionList(list: *mut *const FunctionList) { fill(list, || Ok(&raw const FUNCTION_LIST)) }
        C_GetSlotList(only_with_token: c_uchar, list: Length, count: Length) {
            fill_list(list, count, |refresh| slot::slot_list(only_with_token != 0, refresh))
        }
        C_GetSlotInfo(slot: c_ulong, info: *mut SlotInfo) { fill(info, || slot::slot_info(slot)) }
        C_GetTokenInfo(slot: c_ulong, info: *mut TokenInfo) { fill(info, || slot::token_info(slot)) }
        C_GetMechanismList(slot: c_ulong, list: Length, count: Length) {
            fill_list(list, count, |_| slot::mechanism_list(slot))
        }
        C_GetMechanismInfo(slot: c_ulong, mechanism: MechanismType, info: *mut MechanismInfo) {
            fill(info, || slot::mechanism_info(slot, mechanism))
        }
        C_InitToken(slot: c_ulong, pin: Bytes, length: c_ulong, label: Bytes) { unsupported() }
        C_InitPIN(session: Session, pin: Bytes, length: c_ulong) { session::init_pin(session, &secret(pin, length)?) }
        C_SetPIN(session: Session, old: Bytes, old_length: c_ulong, new: Bytes, new_length: c_ulong) {
            session::set_pin(session, &secret(old, old_length)?, &secret(new, new_length)?)
        }
        C_OpenSession(slot: c_ulong, flags: c_ulong, application: Pointer, notify: Pointer, session: *mut Session) {
            fill(session, || session::open(slot, flags))
        }
        C_CloseSession(session: Session) { session::close(session) }
        C_CloseAllSessions(slot: c_ulong) { session::close_all(slot) }
        C_GetSessionInfo(session: Session, info: *mut SessionInfo) { fill(info, || session::info(session)) }
        C_GetOperationState(session: Session, state: Bytes, length: Length) { unsupported() }
        C_SetOperationState(session: Session, state: Bytes, length: c_ulong, encryption: Handle, authentication: Handle) {
            unsupported()
        }
        C_Login(session: Session, user: c_ulong, pin: Bytes, length: c_ulong) {
            session::login(session, user, || typed(session, user, pin, length))
        }
        C_Logout(session: Session) { session::logout(session) }
        C_CreateObject(session: Session, template: Template, count: c_ulong, object: *mut Handle) {
            fill(object, || object::create(session, &attributes(template, count)?))
        }
        C_CopyObject(session: Session, from: Handle, template: Template, count: c_ulong, to: *mut Handle) {
            fill(to, || object::copy(session, from, &attributes(template, count)?))
        }
        C_DestroyObject(session: Session, object: Handle) { object::destroy(session, object) }
        C_GetObjectSize(session: Session, object: Handle, size: Length) { fill(size, || object::size(session, object)) }
        C_GetAttributeValue(session: Session, object: Handle, template: Template, count: c_ulong) {
            let template = entries(template, count)?;
            let object = object::object(session, object)?;
            show(&object, template)
        }
        C_SetAttributeValue(session: Session, object: Handle, template: Template, count: c_ulong) {
            object::set_attributes(session, object, &attributes(template, count)?)
        }
        C_FindObjectsInit(session: Session, template: Template, count: c_ulong) {
            object::find_init(session, &attributes(template, count)?)
        }
        C_FindObjects(session: Session, objects: *mut Handle, room: c_ulong, count: Length) {
            fill_found(objects, room, count, |room| object::find(session, room))
        }
        C_FindObjectsFinal(session: Session) { object::find_final(session) }
        C_EncryptInit(session: Session, mechanism: *mut Mechanism, key: Handle) {
            encrypt::init(session, request(mechanism)?.as_ref(), key)
        }
        C_Encrypt(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| encrypt::encrypt(session, bytes(data, length)?, room))
        }
        C_EncryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) {
            fill_part(out, out_length, |_| encrypt::update(session, bytes(data, length)?))
        }
        C_EncryptFinal(session: Session, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| encrypt::last(session, room))
        }
        C_DecryptInit(session: Session, mechanism: *mut Mechanism, key: Handle) {
            decrypt::init(session, request(mechanism)?.as_ref(), key)
        }
        C_Decrypt(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| decrypt::decrypt(session, bytes(data, length)?, room))
        }
        C_DecryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) {
            fill_part(out, out_length, |_| decrypt::update(session, bytes(data, length)?))
        }
        C_DecryptFinal(session: Session, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| decrypt::last(session, room))
        }
        C_DigestInit(session: Session, mechanism: *mut Mechanism) { digest::init(session, request(mechanism)?.as_ref()) }
        C_Digest(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| digest::digest(session, bytes(data, length)?, room))
        }
        C_DigestUpdate(session: Session, data: Bytes, length: c_ulong) { digest::update(session, bytes(data, length)?) }
        C_DigestKey(session: Session, key: Handle) { digest::key(session, key) }
        C_DigestFinal(session: Session, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| digest::last(session, room))
        }
        C_SignInit(session: Session, mechanism: *mut Mechanism, key: Handle) {
            sign::init(session, request(mechanism)?.as_ref(), key)
        }
        C_Sign(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| sign::sign(session, bytes(data, length)?, room))
        }
        C_SignUpdate(session: Session, data: Bytes, length: c_ulong) { sign::update(session, bytes(data, length)?) }
        C_SignFinal(session: Session, out: Bytes, out_length: Length) {
            fill_bytes(out, out_length, |room| sign::last(session, room))
        }
        C_SignRecoverInit(session: Session, mechanism: *mut Mechanism, key: Handle) { unsupported() }
        C_SignRecover(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { unsupported() }
        C_VerifyInit(session: Session, mechanism: *mut Mechanism, key: Handle) {
            verify::init(session, request(mechanism)?.as_ref(), key)
        }
        C_Verify(session: Session, data: Bytes, length: c_ulong, signature: Bytes, signature_length: c_ulong) {
            verify::verify(session, bytes(data, length)?, bytes(signature, signature_length)?)
        }
        C_VerifyUpdate(session: Session, data: Bytes, length: c_ulong) { verify::update(session, bytes(data, length)?) }
        C_VerifyFinal(session: Session, signature: Bytes, length: c_ulong) {
            verify::last(session, bytes(signature, length)?)
        }
        C_VerifyRecoverInit(session: Session, mechanism: *mut Mechanism, key: Handle) { unsupported() }
        C_VerifyRecover(session: Session, signature: Bytes, length: c_ulong, out: Bytes, out_length: Length) { unsupported() }
        C_DigestEncryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { unsupported() }
        C_DecryptDigestUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { unsupported() }
        C_SignEncryptUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { unsupported() }
        C_DecryptVerifyUpdate(session: Session, data: Bytes, length: c_ulong, out: Bytes, out_length: Length) { unsupported() }
        C_GenerateKey(session: Session, mechanism: *mut Mechanism, template: Template, count: c_ulong, key: *mut Handle) {
            unsupported()
        }
        C_GenerateKeyPair(
            session: Session, mechanism: *mut Mechanism, public: Template, public_count: c_ulong, private: Template,
            private_count: c_ulong, public_key: *mut Handle, private_key: *mut Handle
        ) {
            check(public_key)?;
            check(private_key)?;
            let request = request(mechanism)?.ok_or(ReturnValue::ARGUMENTS_BAD)?;
            let (public, private) = (attributes(public, public_count)?, attributes(private, private_count)?);
            let handles = key::generate_pair(session, &request, &public, &private)?;
            fill(public_key, || Ok(handles.0))?;
            fill(private_key, || Ok(handles.1))
        }
        C_WrapKey(
            session: Session, mechanism: *mut Mechanism, wrapping: Handle, key: Handle, out: Bytes, out_length: Length
        ) {
            let request = request(mechanism)?.ok_or(ReturnValue::ARGUMENTS_BAD)?;
            fill_bytes(out, out_length, |room| key::wrap(session, &request, wrapping, key, room))
        }
        C_UnwrapKey(
            session: Session, mechanism: *mut Mechanism, unwrapping: Handle, wrapped: Bytes, length: c_ulong,
            template: Template, count: c_ulong, key: *mut Handle
        ) {
            let request = request(mechanism)?.ok_or(ReturnValue::ARGUMENTS_BAD)?;
            let (wrapped, template) = (bytes(wrapped, length)?, attributes(template, count)?);
            fill(key, || key::unwrap(session, &request, unwrapping, wrapped, &template))
        }
        C_DeriveKey(
            session: Session, mechanism: *mut Mechanism, base: Handle, template: Template, count: c_ulong,
            key: *mut Handle
        ) {
            let request = request(mechanism)?.ok_or(ReturnValue::ARGUMENTS_BAD)?;
            let template = attributes(template, count)?;
            fill(key, || key::derive(session, &request, base, &template))
        }
        C_SeedRandom(session: Session, seed: Bytes, length: c_ulong) { random::seed(session) }
        C_GenerateRandom(session: Session, out: Bytes, length: c_ulong) { random::generate(session, room(out, length)?) }
        C_GetFunctionStatus(session: Session) { Err(ReturnValue::FUNCTION_NOT_PARALLEL) }
        C_CancelFunction(session: Session) { Err(ReturnValue::FUNCTION_NOT_PARALLEL) }
        C_WaitForSlotEvent(flags: c_ulong, slot: Length, reserved: Pointer) {
            if !reserved.is_null() {
                return Err(ReturnValue::ARGUMENTS_BAD);
            }
            fill(slot, || slot::wait_for_event(flags))
        }
    }
    3.0 {
        C_GetInterfaceList(list: *mut Interface, count: Length) {
            // SAFETY: the static lives as long as the module.
            fill_list(list, count, |_| Ok(unsafe { INTERFACES.0.get().read() }.to_vec()))
        }
        C_GetInterface(name: *const c_char, version: *mut Version, interface: *mut *const Interface, flags: c_ulong) {
            fill(interface, || find_interface(name, version, flags))
        }
        C_LoginUser(
            session: Session, user: c_ulong, pin: Bytes, length: c_ulong, name: Bytes, name_length: c_ulong
        ) {
            // A card has one user, who has no name.
            if name_length != 0 {
                return Err(ReturnValue::ARGUMENTS_BAD);
            }
            session::login(session, user, || typed(session, user, pin, length))
        }
        C_SessionCancel(session: Session, flags: c_ulong) { session::cancel(session, flags) }
        C_MessageEncryptInit(session: Session, mechanism: *mut Mechanism, key: Handle) { unsupported() }
        C_EncryptMessage(
            session: Session, parameter: Pointer, parameter_length: c_ulong, associated: Bytes, associated_length: c_ulong,
            data: Bytes, length: c_ulong, out: Bytes, out_length: Length
        ) { unsupported() }
        C_EncryptMessageBegin(
            session: Session, parameter: Pointer, parameter_length: c_ulong, associated: Bytes, associated_length: c_ulong
        ) { unsupported() }
        C_EncryptMessageNext(
            session: Session, parameter: Pointer, parameter_length: c_ulong, data: Bytes, length: c_ulong, out: Bytes,
            out_length: Length, flags: c_ulong
        ) { unsupported() }
        C_MessageEncryptFinal(session: Session) { unsupported() }
        C_MessageDecryptInit(session: Session, mechanism: *mut Mechanism, key: Handle) { unsupported() }
        C_DecryptMessage(
            session: Session, parameter: Pointer, parameter_length: c_ulong, associated: Bytes, associated_length: c_ulong,
            data: Bytes, length: c_ulong, out: Bytes, out_length: Length
        ) { unsupported() }
        C_DecryptMessageBegin(
            session: Session, parameter: Pointer, parameter_length: c_ulong, associated: Bytes, associated_length: c_ulong
        ) { unsupported() }
        C_DecryptMessageNext(
            session: Session, parameter: Pointer, parameter_length: c_ulong, data: Bytes, length: c_ulong, out: Bytes,
            out_length: Length, flags: c_ulong
        ) { unsupported() }
        C_MessageDecryptFinal(session: Session) { unsupported() }
        C_MessageSignInit(session: Session, mechanism: *mut Mechanism, key: Handle) { unsupported() }
        C_SignMessage(
            session: Session, parameter: Pointer, parameter_length: c_ulong, data: Bytes, length: c_ulong, out: Bytes,
            out_length: Length
        ) { unsupported() }
        C_SignMessageBegin(session: Session, parameter: Pointer, parameter_length: c_ulong) { unsupported() }
        C_SignMessageNext(
            session: Session, parameter: Pointer, parameter_length: c_ulong, data: Bytes, length: c_ulong, out: Bytes,
            out_length: Length
        ) { unsupported() }
        C_MessageSignFinal(session: Session) { unsupported() }
        C_MessageVerifyInit(session: Session, mechanism: *mut Mechanism, key: Handle) { unsupported() }
        C_VerifyMessage(
            session: Session, parameter: Pointer, parameter_length: c_ulong, data: Bytes, length: c_ulong,
            signature: Bytes, signature_length: c_ulong
        ) { unsupported() }
        C_VerifyMessageBegin(session: Session, parameter: Pointer, parameter_length: c_ulong) { unsupported() }
        C_VerifyMessageNext(
            session: Session, parameter: Pointer, parameter_length: c_ulong, data: Bytes, length: c_ulong,
            signature: Bytes, signature_length: c_ulong
        ) { unsupported() }
        C_MessageVerifyFinal(session: Session) { unsupported() }
    }
}

/// Both function lists by name; the first is the default.
static INTERFACES: Interfaces = Interfaces(UnsafeCell::new([
    Interface { name: INTERFACE_NAME.as_ptr(), functions: (&raw const FUNCTION_LIST_3).cast(), flags: 0 },
    Interface { name: INTERFACE_NAME.as_ptr(), functions: (&raw const FUNCTION_LIST).cast(), flags: 0 },
]));

/// C_GetInterface: null stands for any name, any version. No interface survives a fork (`CKF_INTERFACE_FORK_SAFE`).
fn find_interface(
    name: *const c_char,
    version: *const Version,
    flags: c_ulong,
) -> Result<*const Interface, ReturnValue> {
    // SAFETY: not null; the application gives a string that ends with a zero byte.
    let is_ours = name.is_null() || unsafe { CStr::from_ptr(name) } == INTERFACE_NAME;
    let place = if version.is_null() {
        Some(0)
    } else {
        check(version)?;
        // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
        let version = unsafe { version.read() };
        [general::CRYPTOKI_VERSION, general::EARLIER_VERSION].iter().position(|ours| *ours == version)
    };
    let place = place.filter(|_| is_ours && flags == 0).ok_or(ReturnValue::FUNCTION_FAILED)?;
    Ok(INTERFACES.0.get().cast::<Interface>().wrapping_add(place))
}

/// A function that the standard has and no PIV card needs: refused, though not before the module is initialised.
fn unsupported() -> Answer {
    Module::current()?;
    NOT_SUPPORTED
}

/// A panic must not cross into C. What it interrupted is behind a lock that survives it.
fn guarded(body: impl FnOnce() -> Answer) -> c_ulong {
    let result = catch_unwind(AssertUnwindSafe(body));
    ReturnValue::of(result.unwrap_or(Err(ReturnValue::GENERAL_ERROR)))
}

/// What belongs to this process. A forked child finds its parent's and begins anew, without touching a lock; the little
/// that the parent left there stays where it is.
pub(crate) fn process() -> &'static Process {
    static CURRENT: AtomicPtr<Process> = AtomicPtr::new(null_mut());
    let id = std::process::id();
    loop {
        let known = CURRENT.load(Ordering::Acquire);
        // SAFETY: null, or from `Box::leak` below: never freed, and shared only.
        if let Some(process) = unsafe { known.as_ref() }.filter(|process| process.id == id) {
            return process;
        }
        let new: *mut Process = Box::leak(Box::new(Process::new(id)));
        if CURRENT.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: another thread was first, so nobody else has this one.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

/// Sees to it that no transaction is kept open over a fork. A child that lives on shares the line to the PC/SC service,
/// which would otherwise not hear of its parent's end, and keep the card, PIN verified, from everybody.
#[cfg(unix)]
pub(crate) fn end_transactions_at_forks() {
    type Handler = Option<unsafe extern "C" fn()>;
    unsafe extern "C" {
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> std::ffi::c_int;
    }
    unsafe extern "C" fn before_fork() {
        let _ = catch_unwind(|| process().end_transactions());
    }
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    // SAFETY: the handler is a function of this module, which takes it back when it is unloaded. Without memory for
    // it nothing is registered, and only what is said above is lost.
    REGISTERED.call_once(|| {
        let _ = unsafe { pthread_atfork(Some(before_fork), None, None) };
    });
}

#[cfg(not(unix))]
pub(crate) fn end_transactions_at_forks() {}

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
        threads_are_allowed: arguments.flags & CANT_CREATE_THREADS == 0,
    }))
}

/// Bytes that the application gives; null only where there are none.
fn bytes<'a>(data: *const u8, length: c_ulong) -> Result<&'a [u8], ReturnValue> {
    let length = usize::try_from(length).map_err(|_| ReturnValue::ARGUMENTS_BAD)?;
    if length == 0 {
        return Ok(&[]);
    }
    check_many(data, length)?;
    // SAFETY: checked above; the application lets us read so many bytes for the time of the call, and no longer is the
    // slice kept.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

/// Bytes that the application wants filled.
fn room<'a>(out: Bytes, length: c_ulong) -> Result<&'a mut [u8], ReturnValue> {
    let length = usize::try_from(length).map_err(|_| ReturnValue::ARGUMENTS_BAD)?;
    if length == 0 {
        return Ok(&mut []);
    }
    check_many(out, length)?;
    // SAFETY: checked above; the application lets us write so many bytes for the time of the call, and no longer is the
    // slice kept. Random bytes are all that it is used for.
    Ok(unsafe { std::slice::from_raw_parts_mut(out, length) })
}

/// A PIN; one that is longer than any is cut, and wrong all the same.
fn secret(pin: *const u8, length: c_ulong) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    if pin.is_null() {
        return Err(ReturnValue::ARGUMENTS_BAD);
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST_PIN);
    let length = c_ulong::try_from(length).map_err(|_| ReturnValue::ARGUMENTS_BAD)?;
    Ok(Zeroizing::new(bytes(pin, length)?.to_vec()))
}

/// The PIN that C_Login is given; without one it is asked for, where the user has set that.
fn typed(
    session: Session,
    user: c_ulong,
    pin: *const u8,
    length: c_ulong,
) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    if pin.is_null() { pin_entry::ask(session, user) } else { secret(pin, length) }
}

/// The entries of a template, copied: their pointers still lead to the application's memory.
fn entries(template: Template, count: c_ulong) -> Result<Vec<(Template, Attribute)>, ReturnValue> {
    let count = usize::try_from(count).ok().filter(|&count| count <= MOST_ATTRIBUTES);
    let count = count.ok_or(ReturnValue::ARGUMENTS_BAD)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    check_many(template, count)?;
    let places = (0..count).map(|number| template.wrapping_add(number));
    // SAFETY: checked above; the application gives so many entries.
    Ok(places.map(|place| (place, unsafe { place.read() })).collect())
}

/// Reads a template that says what is wanted.
fn attributes(template: Template, count: c_ulong) -> Result<Attributes, ReturnValue> {
    let mut read = Attributes::default();
    for (_, entry) in entries(template, count)? {
        let length = usize::try_from(entry.length).ok().filter(|&length| length <= LONGEST_ATTRIBUTE);
        if length.is_none() || (entry.value.is_null() && entry.length != 0) {
            return Err(ReturnValue::ATTRIBUTE_VALUE_INVALID);
        }
        let value = bytes(entry.value.cast(), entry.length)?;
        // Said twice, it must be the same (section 4.1.1).
        if read.get(entry.kind).is_some_and(|before| before != value) {
            return Err(ReturnValue::TEMPLATE_INCONSISTENT);
        }
        read.set(entry.kind, value);
    }
    Ok(read)
}

/// Fills in a template by the rules of C_GetAttributeValue: every entry, and the worst of what went wrong.
fn show(object: &Object, template: Vec<(Template, Attribute)>) -> Answer {
    let mut answer = Ok(());
    for (place, mut entry) in template {
        let shown = match object.show(entry.kind) {
            Shown::Value(value) => write_value(&mut entry, value),
            Shown::Sensitive => Err(ReturnValue::ATTRIBUTE_SENSITIVE),
            Shown::Unknown => Err(ReturnValue::ATTRIBUTE_TYPE_INVALID),
        };
        if shown.is_err() {
            entry.length = crate::attribute::UNAVAILABLE;
        }
        // SAFETY: `entries` has checked and read this place; the application lets us write it.
        unsafe { place.write(entry) };
        answer = answer.and(shown);
    }
    answer
}

fn write_value(entry: &mut Attribute, value: &[u8]) -> Answer {
    let length = c_ulong::try_from(value.len()).map_err(|_| ReturnValue::GENERAL_ERROR)?;
    if !entry.value.is_null() {
        if entry.length < length {
            return Err(ReturnValue::BUFFER_TOO_SMALL);
        }
        // SAFETY: not null, and the application says that it has room for `entry.length` bytes, which is not less than
        // what is written; our own value does not overlap it.
        unsafe { entry.value.cast::<u8>().copy_from_nonoverlapping(value.as_ptr(), value.len()) };
    }
    entry.length = length;
    Ok(())
}

/// Reads `CK_MECHANISM`; null is `None`.
fn request(mechanism: *const Mechanism) -> Result<Option<Request>, ReturnValue> {
    if mechanism.is_null() {
        return Ok(None);
    }
    check(mechanism)?;
    // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
    let mechanism = unsafe { mechanism.read() };
    let parameter = match ParameterForm::of(mechanism.kind) {
        // What a mechanism without parameter gets is passed over, as other modules do.
        ParameterForm::None => Parameter::None,
        ParameterForm::Eddsa if mechanism.parameter.is_null() => Parameter::None,
        ParameterForm::Pss => Parameter::Pss(parameter(&mechanism)?),
        ParameterForm::Oaep => {
            let read: OaepParameters = parameter(&mechanism)?;
            let label = parameter_bytes(read.label, read.label_length)?;
            Parameter::Oaep { hash: read.hash, mask: read.mask, source: read.source, label }
        }
        ParameterForm::Ecdh => {
            let read: EcdhParameters = parameter(&mechanism)?;
            let shared = parameter_bytes(read.shared, read.shared_length)?;
            let public = parameter_bytes(read.public, read.public_length)?;
            Parameter::Ecdh { function: read.function, shared, public }
        }
        ParameterForm::Eddsa => {
            let read: EddsaParameters = parameter(&mechanism)?;
            let context = parameter_bytes(read.context, read.context_length)?;
            Parameter::Eddsa { prehash: read.prehash != 0, context }
        }
    };
    Ok(Some(Request { kind: mechanism.kind, parameter }))
}

/// A parameter of a form that any bytes are; it may lie anywhere.
fn parameter<T: Copy>(mechanism: &Mechanism) -> Result<T, ReturnValue> {
    if mechanism.parameter.is_null() || usize::try_from(mechanism.length) != Ok(size_of::<T>()) {
        return Err(ReturnValue::MECHANISM_PARAM_INVALID);
    }
    // SAFETY: not null and as long as it should be; every type that this is called with consists of numbers and raw
    // pointers, which any bytes are.
    Ok(unsafe { mechanism.parameter.cast::<T>().read_unaligned() })
}

fn parameter_bytes(data: *const u8, length: c_ulong) -> Result<Vec<u8>, ReturnValue> {
    let invalid = ReturnValue::MECHANISM_PARAM_INVALID;
    if usize::try_from(length).map_err(|_| invalid)? > LONGEST_PARAMETER {
        return Err(invalid);
    }
    bytes(data, length).map(<[u8]>::to_vec).map_err(|_| invalid)
}

/// Writes one structure, if it could be made.
fn fill<T>(to: *mut T, make: impl FnOnce() -> Result<T, ReturnValue>) -> Answer {
    check(to)?;
    let value = make()?;
    // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
    unsafe { to.write(value) };
    Ok(())
}

/// Writes a list by the rules of section 5.2: a null list asks for the number of entries alone; too little room answers
/// that number with `CKR_BUFFER_TOO_SMALL`. `make` hears whether only the number is asked for.
fn fill_list<T: Copy>(
    list: *mut T,
    count: Length,
    make: impl FnOnce(bool) -> Result<Vec<T>, ReturnValue>,
) -> Answer {
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

/// Writes as many handles as there is room for (C_FindObjects).
fn fill_found(
    objects: *mut Handle,
    room: c_ulong,
    count: Length,
    find: impl FnOnce(usize) -> Result<Vec<Handle>, ReturnValue>,
) -> Answer {
    check(count)?;
    let room = usize::try_from(room).map_err(|_| ReturnValue::ARGUMENTS_BAD)?;
    if room > 0 {
        check(objects)?;
    }
    let found = find(room)?;
    let length = c_ulong::try_from(found.len()).map_err(|_| ReturnValue::GENERAL_ERROR)?;
    // SAFETY: checked above to be neither null nor misaligned; no more are written than there is room for.
    unsafe {
        if !found.is_empty() {
            objects.copy_from_nonoverlapping(found.as_ptr(), found.len());
        }
        count.write(length);
    }
    Ok(())
}

/// Writes bytes by the rules of section 5.2: a null buffer asks for their number; too little room answers that number
/// with `CKR_BUFFER_TOO_SMALL`, and the operation goes on.
fn fill_bytes(
    out: Bytes,
    out_length: Length,
    make: impl FnOnce(Room) -> Result<Output, ReturnValue>,
) -> Answer {
    check(out_length)?;
    // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
    let room = if out.is_null() { None } else { Some(unsafe { out_length.read() }) };
    let room = room.map(|room| usize::try_from(room).unwrap_or(usize::MAX));
    let (length, answer) = match make(room)? {
        Output::Needs(length) if room.is_none() => (length, Ok(())),
        Output::Needs(length) => (length, Err(ReturnValue::BUFFER_TOO_SMALL)),
        Output::Bytes(made) => {
            if made.len() > room.unwrap_or(0) {
                return Err(ReturnValue::GENERAL_ERROR);
            }
            if !made.is_empty() {
                // SAFETY: there is room for `room` bytes, which is not less than what is written and not 0, so `out` is
                // not null; a fresh vector does not overlap it.
                unsafe { out.copy_from_nonoverlapping(made.as_ptr(), made.len()) };
            }
            (made.len(), Ok(()))
        }
    };
    let length = c_ulong::try_from(length).map_err(|_| ReturnValue::GENERAL_ERROR)?;
    // SAFETY: as above.
    unsafe { out_length.write(length) };
    answer
}

/// The same for a part of an operation, whose output may be nothing: asking for its length takes the part in only once.
fn fill_part(
    out: Bytes,
    out_length: Length,
    make: impl FnOnce(Room) -> Result<Output, ReturnValue>,
) -> Answer {
    check(out_length)?;
    if out.is_null() {
        // SAFETY: checked above to be neither null nor misaligned; the rest is the application's contract.
        unsafe { out_length.write(0) };
        return Ok(());
    }
    fill_bytes(out, out_length, make)
}

fn check<T>(pointer: *const T) -> Answer {
    if pointer.is_null() || !pointer.is_aligned() { Err(ReturnValue::ARGUMENTS_BAD) } else { Ok(()) }
}

/// So many values must also fit into memory.
fn check_many<T>(pointer: *const T, count: usize) -> Answer {
    check(pointer)?;
    let length = count.checked_mul(size_of::<T>()).filter(|&length| isize::try_from(length).is_ok());
    let end = length.and_then(|length| pointer.addr().checked_add(length));
    end.map(|_| ()).ok_or(ReturnValue::ARGUMENTS_BAD)
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::ptr::{null, null_mut};
    use std::sync::PoisonError;

    use super::*;
    use crate::module::TURN;

    const OK: c_ulong = 0;
    const SLOT_ID_INVALID: c_ulong = 0x03;
    const FUNCTION_FAILED: c_ulong = 0x06;
    const ARGUMENTS_BAD: c_ulong = 0x07;
    const CANT_LOCK: c_ulong = 0x0A;
    const FUNCTION_NOT_PARALLEL: c_ulong = 0x51;
    const NOT_INITIALIZED: c_ulong = 0x190;
    const ALREADY_INITIALIZED: c_ulong = 0x191;

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
            assert_eq!((list.C_GetFunctionStatus)(1), FUNCTION_NOT_PARALLEL);
            assert_eq!((list.C_CancelFunction)(1), FUNCTION_NOT_PARALLEL);
            assert_eq!(C_GetFunctionList(null_mut()), ARGUMENTS_BAD);
        }
    }

    /// Section 5.4: the default is the newest; a version or a name that is not there, and a promise that is not made,
    /// find nothing.
    #[test]
    fn both_lists_are_found_as_interfaces() {
        let mut interface: *const Interface = null();
        let mut find = |name: Option<&CStr>, version: Option<(u8, u8)>, flags| {
            let name = name.map_or(null(), CStr::as_ptr);
            let mut version = version.map(|(major, minor)| Version { major, minor });
            let version = version.as_mut().map_or(null_mut(), |version| &raw mut *version);
            // SAFETY: every pointer is null or to something of the right type; what is found is a static, and both lists
            // begin with their version.
            unsafe {
                match C_GetInterface(name, version, &mut interface, flags) {
                    OK => Ok((*(*interface).functions.cast::<Version>(), CStr::from_ptr((*interface).name))),
                    error => Err(error),
                }
            }
        };
        let newest = Ok((Version { major: 3, minor: 0 }, c"PKCS 11"));
        assert_eq!(find(None, None, 0), newest);
        assert_eq!(find(Some(c"PKCS 11"), Some((3, 0)), 0), newest);
        assert_eq!(find(None, Some((2, 40)), 0), Ok((Version { major: 2, minor: 40 }, c"PKCS 11")));
        for (name, version, flags) in [(Some(c"Vendor"), None, 0), (None, Some((3, 1)), 0), (None, None, 1)] {
            assert_eq!(find(name, version, flags), Err(FUNCTION_FAILED));
        }
        // Section 3.6 and the 24 functions that 3.0 added.
        assert_eq!(size_of::<FunctionList3>(), 93 * size_of::<usize>());
        let mut count = 0;
        // SAFETY: null asks for the number alone.
        assert_eq!(unsafe { C_GetInterfaceList(null_mut(), &mut count) }, OK);
        assert_eq!(count, 2);
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
            assert_eq!(info.cryptoki_version, Version { major: 3, minor: 0 });
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

    #[cfg(all(unix, feature = "sim"))]
    #[test]
    fn a_fork_ends_the_transaction_that_is_kept() {
        use crate::tests::card::{TestCard, is_kept, keep_a_transaction};

        unsafe extern "C" {
            fn fork() -> std::ffi::c_int;
            fn _exit(status: std::ffi::c_int) -> !;
            fn waitpid(
                child: std::ffi::c_int,
                status: *mut std::ffi::c_int,
                options: std::ffi::c_int,
            ) -> std::ffi::c_int;
        }
        let card = TestCard::yubikey();
        card.generate(middleware::KeyReference::Authentication, middleware::KeyAlgorithm::P256);
        let _inserted = card.insert();
        keep_a_transaction();
        // SAFETY: the child does nothing but end.
        let child = unsafe { fork() };
        if child == 0 {
            // SAFETY: it ends the child.
            unsafe { _exit(0) };
        }
        assert!(child > 0 && !is_kept());
        // SAFETY: null means that the status is not wanted.
        assert_eq!(unsafe { waitpid(child, null_mut(), 0) }, child);
    }
}
