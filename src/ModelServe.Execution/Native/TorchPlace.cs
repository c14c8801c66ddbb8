using TorchSharp;

namespace ModelServe.Execution.Native;

/// <summary>Where libtorch computes: the host's processors, or one GPU.</summary>
/// <param name="Type">The kind of device.</param>
/// <param name="Index">Which of them, from 0.</param>
internal readonly record struct TorchPlace(DeviceType Type, int Index)
{
    /// <summary>The host.</summary>
    public static TorchPlace Host { get; } = new(DeviceType.CPU, 0);

    /// <summary>Whether addresses there are the host's own.</summary>
    public bool IsHost => Type == DeviceType.CPU;

    /// <summary>As libtorch writes it.</summary>
    public override string ToString() => IsHost ? "cpu" : $"cuda:{Index}";

    /// <summary>For TorchSharp's calls.</summary>
    public torch.Device Device() => new(Type, IsHost ? -1 : Index);
}
