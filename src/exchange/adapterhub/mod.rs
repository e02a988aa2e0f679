//! Adapters of AdapterHub's library `adapters`: a folder with `adapter_config.json` and
//! `adapter.safetensors`, and with `head_config.json` and `model_head.safetensors` for a head.
//!
//! A bottleneck's tensors are called after the module whose output it changes,
//! `<path>.adapters.<name>.adapter_down.0.weight`; LoRA and (IA)3 after the linear layer itself,
//! `<path>.loras.<name>.lora_A`. What each setting does is in `methods/modeling.py` and
//! `methods/lora.py` of the library; those that compute something else than the kinds here do are
//! refused.
//!
//! Input: a folder and the backbone that its adapter is for; or an adapter. Output: the adapter, or
//! a folder.

mod bottleneck;
mod folder;
mod lora;
mod read;
mod write;

pub use folder::describe;
pub use read::read;
pub use write::write;
