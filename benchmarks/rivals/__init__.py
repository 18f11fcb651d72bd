"""The programs our figures are compared with, one per file, none of which imports `trainer`.

Each follows a published recipe or the way most tutorials do the job, on one thread, and prints one
JSON object as its last line on stdout. Times are CPU-seconds of the whole process (all its
threads), so that a busy neighbour on the machine changes them less than it changes wall time.
Run them from the repository root; `keras_io`, `naive_*` and `compiled_step` need TensorFlow,
`pytorch_example` needs PyTorch.
"""
