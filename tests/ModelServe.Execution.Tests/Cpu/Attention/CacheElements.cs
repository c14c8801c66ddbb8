using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Tests.Cpu.Attention;

/// <summary>Single elements of the key-value cache, by the definition of its layout.</summary>
internal static unsafe class CacheElements
{
    /// <summary>One element, widened.</summary>
    public static float Read(KvCache cache, int layer, int block, int head, int slot, int element, bool key)
    {
        var index = Index(cache, slot, element, key);
        var start = key ? cache.Keys(layer, block, head) : cache.Values(layer, block, head);
        return cache.Type switch
        {
            ElementType.Float32 => ((float*)start)[index],
            ElementType.BFloat16 => BFloat.ToSingle(((ushort*)start)[index]),
            _ => ((sbyte*)start)[index] * cache.Scales(layer, block, head)[(key ? 0 : cache.BlockTokens) + slot],
        };
    }

    /// <summary>All elements of one token's key or value.</summary>
    public static void Write(KvCache cache, int layer, int block, int head, int slot, ReadOnlySpan<float> elements, bool key)
    {
        var start = key ? cache.Keys(layer, block, head) : cache.Values(layer, block, head);
        var scale = Scale(elements);
        if (cache.Type == ElementType.Int8)
        {
            cache.Scales(layer, block, head)[(key ? 0 : cache.BlockTokens) + slot] = scale;
        }

        for (var element = 0; element < elements.Length; element++)
        {
            var index = Index(cache, slot, element, key);
            switch (cache.Type)
            {
                case ElementType.Float32: ((float*)start)[index] = elements[element]; break;
                case ElementType.BFloat16: ((ushort*)start)[index] = BFloat.FromSingle(elements[element]); break;
                default: ((sbyte*)start)[index] = (sbyte)MathF.Round(elements[element] / scale); break;
            }
        }
    }

    /// <summary>What remains of the elements of one token's key or value in a storage type.</summary>
    public static float[] Stored(ReadOnlySpan<float> elements, ElementType type)
    {
        var scale = Scale(elements);
        var stored = elements.ToArray();
        foreach (ref var element in stored.AsSpan())
        {
            element = type switch
            {
                ElementType.Float32 => element,
                ElementType.BFloat16 => BFloat.ToSingle(BFloat.FromSingle(element)),
                _ => (sbyte)MathF.Round(element / scale) * scale,
            };
        }

        return stored;
    }

    private static float Scale(ReadOnlySpan<float> elements)
    {
        var most = 0f;
        foreach (var element in elements)
        {
            most = MathF.Max(most, MathF.Abs(element));
        }

        return most / 127;
    }

    private static int Index(KvCache cache, int slot, int element, bool key)
    {
        var pack = cache.Pack;
        return key
            ? (((element / pack * cache.BlockTokens) + slot) * pack) + (element % pack)
            : (((slot / pack * cache.HeadDim) + element) * pack) + (slot % pack);
    }
}
