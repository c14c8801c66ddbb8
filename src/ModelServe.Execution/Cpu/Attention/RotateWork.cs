using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using ModelServe.Execution.Cpu.Rows;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Normalises and rotates the queries and keys of tokens, and stores keys and values in the cache.</summary>
internal unsafe struct RotateWork
{
    /// <summary>[token, queries | keys | values].</summary>
    public float* Fused;

    /// <summary>[token] its position.</summary>
    public int* Positions;

    /// <summary>[token] its slot in the cache.</summary>
    public int* CacheSlots;

    /// <summary>Gain of each query head [HeadDim], or null.</summary>
    public float* QueryGain;

    /// <summary>Gain of each key head [HeadDim], or null.</summary>
    public float* KeyGain;

    /// <summary>[position, HeadDim / 2].</summary>
    public float* Cosines;

    /// <summary>[position, HeadDim / 2].</summary>
    public float* Sines;

    /// <summary>The layer's part of the cache.</summary>
    public byte* Cache;

    /// <summary>How the cache is stored.</summary>
    public ElementType Type;

    /// <summary>Bytes of one head's part of a block.</summary>
    public long HeadBytes;

    /// <summary>Slots of a block.</summary>
    public int BlockTokens;

    /// <summary>Added to the mean square.</summary>
    public float Epsilon;

    /// <summary>Tokens.</summary>
    public int Rows;

    /// <summary>Query heads.</summary>
    public int QueryHeads;

    /// <summary>Key and value heads.</summary>
    public int KeyValueHeads;

    /// <summary>Elements of a head, a multiple of 16.</summary>
    public int HeadDim;

    /// <summary>Does one part of several of the <see cref="RotateWork"/> at <paramref name="context"/>.</summary>
    public static void Run(void* context, int part, int parts)
    {
        var work = (RotateWork*)context;
        var last = (int)((long)work->Rows * (part + 1) / parts);
        var first = (int)((long)work->Rows * part / parts);
        for (var row = first; row < last; row++)
        {
            if (row + 1 < last)
            {
                CallIn(work, row + 1);
            }

            Token(work, row);
        }
    }

    // A token's places in the cache are a hundred lines that nobody has read for a whole step: they come from memory while the
    // token before is dealt with, and not one after the other when they are written.
    private static void CallIn(RotateWork* work, int row)
    {
        if (!Sse.IsSupported)
        {
            return;
        }

        // Rows of 32 bits for each slot: of the key's elements one after the other, of the value's one for as many slots as it packs.
        var dim = work->HeadDim;
        var pack = sizeof(uint) / work->Type.Bytes();
        var slot = work->CacheSlots[row] % work->BlockTokens;
        var target = work->Cache + (work->HeadBytes * work->KeyValueHeads * (work->CacheSlots[row] / work->BlockTokens));
        for (var head = 0; head < work->KeyValueHeads; head++, target += work->HeadBytes)
        {
            for (var i = 0; i < dim / pack; i++)
            {
                Sse.Prefetch0(target + (((i * work->BlockTokens) + slot) * sizeof(uint)));
            }

            var value = target + (work->BlockTokens * dim * work->Type.Bytes()) + (slot / pack * dim * sizeof(uint));
            for (var line = 0; line < dim * sizeof(uint); line += 64)
            {
                Sse.Prefetch0(value + line);
            }
        }
    }

    private static void Token(RotateWork* work, int row)
    {
        var dim = work->HeadDim;
        var half = dim / 2;
        var cosines = work->Cosines + ((long)work->Positions[row] * half);
        var sines = work->Sines + ((long)work->Positions[row] * half);
        var head = work->Fused + ((long)row * (work->QueryHeads + (2 * work->KeyValueHeads)) * dim);
        for (var i = 0; i < work->QueryHeads; i++, head += dim)
        {
            Prepare(head, work->QueryGain, work->Epsilon, cosines, sines, half);
        }

        var slot = work->CacheSlots[row] % work->BlockTokens;
        var target = work->Cache + (work->HeadBytes * work->KeyValueHeads * (work->CacheSlots[row] / work->BlockTokens));
        var values = head + ((long)work->KeyValueHeads * dim);
        for (var i = 0; i < work->KeyValueHeads; i++, head += dim, values += dim, target += work->HeadBytes)
        {
            Prepare(head, work->KeyGain, work->Epsilon, cosines, sines, half);
            switch (work->Type)
            {
                case ElementType.BFloat16: CacheStore.Pairs(head, values, target, slot, work->BlockTokens, dim); break;
                case ElementType.Int8: CacheStore.Bytes(head, values, target, slot, work->BlockTokens, dim); break;
                default: CacheStore.Singles(head, values, target, slot, work->BlockTokens, dim); break;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Prepare(float* head, float* gain, float epsilon, float* cosines, float* sines, int half)
    {
        if (gain is not null)
        {
            NormWork.InPlace(head, gain, epsilon, 2 * half);
        }

        // Half a head is a multiple of eight elements.
        for (var i = 0; i < half; i += 8)
        {
            var first = Vector256.Load(head + i);
            var second = Vector256.Load(head + half + i);
            var cosine = Vector256.Load(cosines + i);
            var sine = Vector256.Load(sines + i);
            ((first * cosine) - (second * sine)).Store(head + i);
            ((second * cosine) + (first * sine)).Store(head + half + i);
        }
    }
}
