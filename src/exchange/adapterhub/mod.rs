//! Adapters of AdapterHub's library `adapters`: a folder with `adapter_config.json` and
//! `adapter.safetensors`, and with `head_config.json` and `model_head.safetensors` for a head.
//!
//! A bottleneck's tensors are named by the module whose output it changes,
//! `<path>.adapters.<name>.adapter_down.0.weight`; those of LoRA and (IA)3 by the linear layer
//! itself, `<path>.loras.<name>.lora_A`. `methods/modeling.py` and `methods/lora.py` of the library
//! define each setting; settings that compute something else than our kinds are refused.
//!
//! Input: a folder and the backbone that its adapter is for; or an adapter. Output: the adapter, or
//! a folder.

mod bottleneck;
mod folder;
mod lora;
mod read;
mod selection;
mod write;

pub use folder::describe;
pub use read::read;
pub use write::write;
