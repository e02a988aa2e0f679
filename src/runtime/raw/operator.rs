//! The operators of [`crate::kernels`], as ONNX Runtime registers and calls them.
//!
//! ONNX Runtime calls these functions on its own threads. None of them unwinds: a panic becomes a
//! status. Inputs, outputs and threads of a call exist only while the call lasts.

use std::ffi::{CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use ort::sys::{
    ONNXTensorElementDataType as Element, OrtApi, OrtCustomOp, OrtCustomOpDomain,
    OrtCustomOpInputOutputCharacteristic as Characteristic, OrtErrorCode, OrtKernelContext,
    OrtKernelInfo, OrtMemType, OrtStatusPtr, OrtValue,
};

use super::{Ort, call, not_null};
use crate::error::{Code, Error, Result, ResultExt};
use crate::kernels::{Attributes, Call, DOMAIN, Kernel, OPERATORS, Operator, Threads, View};

/// The most inputs and outputs of an operator; a call keeps track of its outputs in a number.
const OUTPUTS_MAX: usize = 8;

/// An operator with the functions that ONNX Runtime calls. The table comes first: a pointer to it
/// is a pointer to the whole.
#[repr(C)]
struct Definition {
    table: OrtCustomOp,
    ort: &'static Ort,
    operator: &'static Operator,
    name: CString,
}

/// Registers every operator in a domain of its own. Definitions and domain are never released: the
/// sessions that use them may live as long as the process.
pub(super) fn domain(ort: &'static Ort) -> Result<NonNull<OrtCustomOpDomain>> {
    let text = |text: &str| {
        CString::new(text).map_err(|_| Error::new(Code::Internal, "a name has a zero byte inside"))
    };
    let name = text(DOMAIN)?;
    let mut domain = ptr::null_mut();
    // SAFETY: the name ends with a zero byte and is copied; the call writes one pointer.
    unsafe { call!(ort, CreateCustomOpDomain(name.as_ptr(), &raw mut domain))? };
    let domain = not_null(domain, "operator domain")?;
    for operator in OPERATORS {
        let name = text(operator.name)?;
        let definition = Box::leak(Box::new(Definition { table: TABLE, ort, operator, name }));
        // SAFETY: the domain is alive and not shared yet; the definition lives for ever, and its
        // table is its first field. The functions of the table get this pointer back.
        unsafe {
            let table = ptr::from_ref::<Definition>(definition).cast::<OrtCustomOp>();
            call!(ort, CustomOpDomain_Add(domain.as_ptr(), table))?;
        }
    }
    Ok(domain)
}

/// The functions, the same for every operator.
const TABLE: OrtCustomOp = OrtCustomOp {
    version: ort::sys::ORT_API_VERSION,
    CreateKernel: None,
    GetName: Some(name),
    GetExecutionProviderType: Some(provider),
    GetInputType: Some(element),
    GetInputTypeCount: Some(inputs),
    GetOutputType: Some(element),
    GetOutputTypeCount: Some(outputs),
    KernelCompute: None,
    KernelDestroy: Some(destroy),
    GetInputCharacteristic: Some(input_characteristic),
    GetOutputCharacteristic: Some(output_characteristic),
    GetInputMemoryType: Some(input_memory),
    GetVariadicInputMinArity: None,
    GetVariadicInputHomogeneity: None,
    GetVariadicOutputMinArity: None,
    GetVariadicOutputHomogeneity: None,
    CreateKernelV2: Some(create),
    KernelComputeV2: Some(compute),
    InferOutputShapeFn: None,
    GetStartVersion: Some(version),
    GetEndVersion: Some(version_end),
    GetMayInplace: None,
    ReleaseMayInplace: None,
    GetAliasMap: None,
    ReleaseAliasMap: None,
};

/// The definition behind a table.
///
/// # Safety
/// `op` is one of the tables that [`domain`] registered.
unsafe fn definition(op: *const OrtCustomOp) -> &'static Definition {
    // SAFETY: the table is the first field of a definition that lives for ever.
    unsafe { &*op.cast::<Definition>() }
}

unsafe extern "system" fn name(op: *const OrtCustomOp) -> *const c_char {
    // SAFETY: ONNX Runtime passes the table that it was given.
    unsafe { definition(op) }.name.as_ptr()
}

/// Every provider that this library opens is the one for processors.
unsafe extern "system" fn provider(_op: *const OrtCustomOp) -> *const c_char {
    ptr::null()
}

unsafe extern "system" fn element(_op: *const OrtCustomOp, _index: usize) -> Element {
    Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
}

unsafe extern "system" fn input_memory(_op: *const OrtCustomOp, _index: usize) -> OrtMemType {
    OrtMemType::OrtMemTypeDefault
}

unsafe extern "system" fn inputs(op: *const OrtCustomOp) -> usize {
    // SAFETY: ONNX Runtime passes the table that it was given.
    unsafe { definition(op) }.operator.inputs
}

unsafe extern "system" fn outputs(op: *const OrtCustomOp) -> usize {
    // SAFETY: ONNX Runtime passes the table that it was given.
    unsafe { definition(op) }.operator.outputs
}

unsafe extern "system" fn input_characteristic(
    op: *const OrtCustomOp,
    index: usize,
) -> Characteristic {
    // SAFETY: ONNX Runtime passes the table that it was given.
    characteristic(index < unsafe { definition(op) }.operator.inputs_required)
}

unsafe extern "system" fn output_characteristic(
    _op: *const OrtCustomOp,
    _index: usize,
) -> Characteristic {
    characteristic(false)
}

fn characteristic(is_required: bool) -> Characteristic {
    match is_required {
        true => Characteristic::INPUT_OUTPUT_REQUIRED,
        false => Characteristic::INPUT_OUTPUT_OPTIONAL,
    }
}

unsafe extern "system" fn version(_op: *const OrtCustomOp) -> c_int {
    1
}

unsafe extern "system" fn version_end(_op: *const OrtCustomOp) -> c_int {
    c_int::MAX
}

/// A kernel, as ONNX Runtime holds it.
struct State {
    ort: &'static Ort,
    operator: &'static Operator,
    kernel: Box<dyn Kernel>,
}

unsafe extern "system" fn create(
    op: *const OrtCustomOp,
    _api: *const OrtApi,
    info: *const OrtKernelInfo,
    kernel: *mut *mut c_void,
) -> OrtStatusPtr {
    // SAFETY: ONNX Runtime passes the table that it was given.
    let Definition { ort, operator, .. } = *unsafe { definition(op) };
    guarded(ort, operator, || {
        let made = (operator.create)(&NodeAttributes { ort, info })?;
        let state = Box::new(State { ort, operator, kernel: made });
        // SAFETY: ONNX Runtime passes a place for one pointer, which it gives back to `compute` and
        // at last to `destroy`.
        unsafe { *kernel = Box::into_raw(state).cast() };
        Ok(())
    })
}

unsafe extern "system" fn destroy(kernel: *mut c_void) {
    if !kernel.is_null() {
        // SAFETY: the pointer comes from `create`, and ONNX Runtime gives it back once.
        drop(unsafe { Box::from_raw(kernel.cast::<State>()) });
    }
}

unsafe extern "system" fn compute(
    kernel: *mut c_void,
    context: *mut OrtKernelContext,
) -> OrtStatusPtr {
    // SAFETY: the pointer comes from `create`; the state is only read, by any number of threads.
    let state = unsafe { &*kernel.cast::<State>() };
    guarded(state.ort, state.operator, || {
        state.kernel.run(&mut Running { ort: state.ort, context, made: 0 })
    })
}

/// Runs `body` and turns its error, or its panic, into a status.
fn guarded(ort: &Ort, operator: &Operator, body: impl FnOnce() -> Result<()>) -> OrtStatusPtr {
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let error = match outcome {
        Ok(Ok(())) => return OrtStatusPtr(ptr::null_mut()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "a fault of its own".to_owned(),
    };
    let text = format!("{DOMAIN}.{}: {error}", operator.name).replace('\0', "?");
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the text ends with a zero byte and is copied.
    unsafe { (ort.api.CreateStatus)(OrtErrorCode::ORT_FAIL, text.as_ptr()) }
}

/// The attributes of a node while its kernel is made.
struct NodeAttributes {
    ort: &'static Ort,
    info: *const OrtKernelInfo,
}

impl NodeAttributes {
    fn name(name: &str) -> Result<CString> {
        CString::new(name).map_err(|_| Error::new(Code::Internal, format!("attribute {name:?}")))
    }
}

impl Attributes for NodeAttributes {
    fn int(&self, name: &str) -> Result<i64> {
        let (text, mut value) = (Self::name(name)?, 0);
        // SAFETY: the node is alive during `create`, the name ends with a zero byte, and the call
        // writes one number.
        unsafe {
            call!(self.ort, KernelInfoGetAttribute_int64(self.info, text.as_ptr(), &raw mut value))
        }
        .context(|| format!("attribute {name}"))?;
        Ok(value)
    }

    fn float(&self, name: &str) -> Result<f32> {
        let (text, mut value) = (Self::name(name)?, 0.0);
        // SAFETY: as for `int`.
        unsafe {
            call!(self.ort, KernelInfoGetAttribute_float(self.info, text.as_ptr(), &raw mut value))
        }
        .context(|| format!("attribute {name}"))?;
        Ok(value)
    }
}

/// A call in progress. It must not outlive `compute`.
struct Running {
    ort: &'static Ort,
    context: *mut OrtKernelContext,
    /// One bit for each output that was made.
    made: u8,
}

impl<'a> Call<'a> for Running {
    fn input(&self, index: usize) -> Result<Option<View<'a>>> {
        let mut value: *const OrtValue = ptr::null();
        let mut element = 0;
        let (mut dims, mut rank) = (ptr::null(), 0);
        // SAFETY: the context is alive during the call, and each function writes to the places it
        // is given. The type is received as a number, as the library may know more types.
        unsafe {
            let mut count = 0;
            call!(self.ort, KernelContext_GetInputCount(self.context, &raw mut count))?;
            if index >= count {
                return Ok(None);
            }
            call!(self.ort, KernelContext_GetInput(self.context, index, &raw mut value))?;
            if value.is_null() {
                return Ok(None);
            }
            let element = (&raw mut element).cast();
            let (dims, rank) = (&raw mut dims, &raw mut rank);
            call!(self.ort, GetTensorElementTypeAndShapeDataReference(value, element, dims, rank))?;
        }
        if element != Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT as i32 {
            return Err(Error::new(Code::RuntimeFailed, format!("input {index} is not of float")));
        }
        let shape: &'a [i64] = match rank {
            0 => &[],
            // SAFETY: the dimensions belong to the value, which lives and stays as it is during
            // the call; a scalar has none.
            _ => unsafe { std::slice::from_raw_parts(dims, rank) },
        };
        let count = crate::graph::element_count(shape)
            .ok_or_else(|| Error::new(Code::RuntimeFailed, format!("input {index}: {shape:?}")))?;
        if count == 0 {
            return Ok(Some(View { shape, values: &[] }));
        }
        let mut data = ptr::null();
        // SAFETY: the value is alive; the call writes one pointer. It points to as many aligned
        // floats as the shape says, which nobody writes during the call: no output of these
        // operators may share the memory of an input.
        let values = unsafe {
            call!(self.ort, GetTensorData(value, &raw mut data))?;
            let data = not_null(data.cast_mut(), "elements")?;
            std::slice::from_raw_parts(data.as_ptr().cast_const().cast(), count)
        };
        Ok(Some(View { shape, values }))
    }

    fn output(&mut self, index: usize, shape: &[usize]) -> Result<Option<&'a mut [f32]>> {
        let taken = index >= OUTPUTS_MAX || self.made & (1 << index) != 0;
        if taken {
            return Err(Error::new(Code::Internal, format!("output {index} is made twice")));
        }
        self.made |= 1 << index;
        let dims: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let too_large = || Error::new(Code::RuntimeFailed, format!("output {index}: {shape:?}"));
        let count = crate::graph::element_count(&dims).ok_or_else(too_large)?;
        let (mut value, mut data) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the context is alive during the call; the dimensions are copied, and each
        // function writes one pointer.
        unsafe {
            let mut outputs = 0;
            call!(self.ort, KernelContext_GetOutputCount(self.context, &raw mut outputs))?;
            if index >= outputs {
                return Ok(None);
            }
            let (dims, rank) = (dims.as_ptr(), dims.len());
            let value = &raw mut value;
            call!(self.ort, KernelContext_GetOutput(self.context, index, dims, rank, value))?;
        }
        if value.is_null() {
            return Ok(None);
        }
        if count == 0 {
            return Ok(Some(&mut []));
        }
        // SAFETY: the value was made for this call, with room for that many aligned floats, and
        // lives until the call ends. This is the only reference to it: the output was not made
        // before, and none shares its memory with an input. Every pattern of bits is a float.
        unsafe {
            call!(self.ort, GetTensorMutableData(value, &raw mut data))?;
            let data = not_null(data, "elements")?;
            Ok(Some(std::slice::from_raw_parts_mut(data.as_ptr().cast(), count)))
        }
    }

    fn threads(&self) -> &dyn Threads {
        self
    }
}

/// What the threads of one call share.
struct Shared<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    has_panicked: AtomicBool,
}

impl Threads for Running {
    fn for_each(&self, count: usize, task: &(dyn Fn(usize) + Sync)) -> Result<()> {
        let shared = Shared { task, has_panicked: AtomicBool::new(false) };
        let pointer = ptr::from_ref(&shared).cast_mut().cast();
        // SAFETY: the function returns when every task has, so `shared` outlives them; tasks only
        // read it. 0 lets the library hand out one task at a time.
        unsafe {
            call!(self.ort, KernelContext_ParallelFor(self.context, one, count, 0, pointer))?;
        };
        match shared.has_panicked.into_inner() {
            false => Ok(()),
            true => Err(Error::new(Code::Internal, "a task failed")),
        }
    }
}

unsafe extern "C" fn one(shared: *mut c_void, index: usize) {
    // SAFETY: the pointer is that of `for_each`, which waits for this call.
    let shared = unsafe { &*shared.cast::<Shared<'_>>() };
    if catch_unwind(AssertUnwindSafe(|| (shared.task)(index))).is_err() {
        shared.has_panicked.store(true, Ordering::Relaxed);
    }
}
