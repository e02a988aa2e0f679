//! Adapters of the library PEFT: a folder with `adapter_config.json` and
//! `adapter_model.safetensors`.
//!
//! A LoRA is `base_model.model.<path>.lora_A.weight` `[rank, inputs]` and `.lora_B.weight`
//! `[outputs, rank]`, (IA)3 `.ia3_l` `[outputs, 1]` or `[1, inputs]`; a head is a whole module of
//! `modules_to_save`. The modules that a configuration selects are compared with the tensors.
//!
//! Input: a folder and the backbone that its adapter is for; or an adapter. Output: the adapter, or
//! a folder.

mod folder;
mod ia3;
mod lora;
mod patterns;
mod read;
mod write;

pub use folder::describe;
pub use read::read;
pub use write::write;
