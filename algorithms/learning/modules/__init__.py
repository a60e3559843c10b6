"""PyTorch modules for `torch_module`: each file has `make`, and is named by the file's name."""
