"""A simulated nvidia-smi and stand-ins for two tools of the NVIDIA Container Toolkit; see ../README.md."""
