namespace ModelServe.Execution.Loading;

/// <summary>Which implementation of the operations runs a model.</summary>
public enum OpsKind
{
    /// <summary>The fastest for the device.</summary>
    Auto,

    /// <summary>Plain TorchSharp: slow and obviously right.</summary>
    Torch,

    /// <summary>Vector code for the CPU.</summary>
    Cpu,

    /// <summary>Kernels of the native library, on a GPU.</summary>
    Cuda,
}
