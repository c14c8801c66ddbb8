using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Brings the native library into the process and proves that both sides mean the same structs.</summary>
internal static class KernelLibrary
{
    /// <summary>The version of <c>modelserve.h</c> that the structs in this namespace mirror.</summary>
    public const int AbiVersion = 3;

    /// <summary>Loads the library from that path; its soname is <c>libmodelserve.so</c>, by which the imports find it.</summary>
    /// <exception cref="KernelException">The file does not load or is another library, or its version or a struct's size differs.</exception>
    public static void Load(string path)
    {
        if (!NativeLibrary.TryLoad(path, out _))
        {
            throw new KernelException(KernelStatus.LibraryMissing, $"{path} does not load as a shared library");
        }

        try
        {
            Check();
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            throw new KernelException(KernelStatus.LibraryMissing, $"{path} is not the library of the kernels, whose soname is libmodelserve.so");
        }
    }

    /// <summary>Compares version and struct sizes with the loaded library.</summary>
    /// <exception cref="KernelException">One of them differs.</exception>
    public static void Check()
    {
        var version = NativeMethods.ms_abi_version();
        if (version != AbiVersion)
        {
            throw new KernelException(KernelStatus.AbiMismatch, $"ABI version must be {AbiVersion}, is {version}");
        }

        foreach (var (kind, name, size) in Structs())
        {
            var native = (int)NativeMethods.ms_sizeof(kind);
            if (native != size)
            {
                throw new KernelException(KernelStatus.AbiMismatch, $"{name} must have {size} bytes, has {native}");
            }
        }
    }

    /// <summary>Every struct of the ABI: its kind in the header, its name and its size here, in bytes.</summary>
    internal static IEnumerable<(int Kind, string Name, int Size)> Structs() =>
    [
        Entry<DeviceInfo>(1),
        Entry<PagedCacheView>(2),
        Entry<StepBeginArguments>(3),
        Entry<EmbedArguments>(4),
        Entry<AddRmsNormArguments>(5),
        Entry<QkRopeKvArguments>(6),
        Entry<AttentionDecodeArguments>(7),
        Entry<AttentionPrefillArguments>(8),
        Entry<GemmArguments>(9),
        Entry<ActMulArguments>(10),
        Entry<QuantFp8Arguments>(11),
        Entry<ArgmaxArguments>(12),
        Entry<LogitsFixArguments>(13),
        Entry<SampleRow>(14),
        Entry<SampleArguments>(15),
        Entry<CountTokensArguments>(16),
        Entry<TopLogprobsArguments>(17),
        Entry<BlockCopyArguments>(18),
        Entry<GatherRowsArguments>(19),
    ];

    private static (int Kind, string Name, int Size) Entry<T>(int kind)
        where T : unmanaged => (kind, typeof(T).Name, Unsafe.SizeOf<T>());
}
