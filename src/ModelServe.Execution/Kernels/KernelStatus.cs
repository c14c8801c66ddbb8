namespace ModelServe.Execution.Kernels;

/// <summary>What a native call reports; the values are those of <c>modelserve.h</c>.</summary>
public enum KernelStatus
{
    /// <summary>Done, or launched.</summary>
    Ok = 0,

    /// <summary>Version or struct size differs from what the library was built with.</summary>
    AbiMismatch = -1,

    /// <summary>A value outside its range.</summary>
    InvalidArgument = -2,

    /// <summary>There is no kernel for that combination.</summary>
    Unsupported = -3,

    /// <summary>Device or host memory is exhausted.</summary>
    OutOfMemory = -4,

    /// <summary>The CUDA driver refused a call.</summary>
    DriverFailed = -5,

    /// <summary>A shared library or symbol is missing.</summary>
    LibraryMissing = -6,

    /// <summary>Calls came in the wrong order.</summary>
    WrongState = -7,

    /// <summary>cuBLASLt refused a call.</summary>
    CublasFailed = -8,
}
