using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the embedding.</summary>
/// <remarks>
/// Mirrors <c>ms_embed_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct EmbedArguments
{
    public uint StructSize;
    public int NTokens;
    public int Hidden;
    public int Vocab;
    public float Scale;
    public int* Count;
    public int* Ids;
    public void* Table;
    public void* Out;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static EmbedArguments Create() => new() { StructSize = (uint)sizeof(EmbedArguments) };
}
