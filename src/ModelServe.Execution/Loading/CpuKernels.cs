namespace ModelServe.Execution.Loading;

/// <summary>Which kernels multiply on a CPU.</summary>
public enum CpuKernels
{
    /// <summary>Those of the native library where it lies beside the program and the processor has what they need; C# otherwise.</summary>
    Auto,

    /// <summary>Those of the native library; loading fails where they cannot run.</summary>
    Native,

    /// <summary>Those in C# alone.</summary>
    Managed,
}
