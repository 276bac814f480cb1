// A writer thread that cannot come up, as where a native library does not load.
throw new Error('no such library');
