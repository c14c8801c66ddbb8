namespace ModelServe.Execution.Checkpoints;

/// <summary>Element types that a safetensors file may declare.</summary>
internal enum StoredType
{
    /// <summary>IEEE half precision.</summary>
    F16,

    /// <summary>Upper half of a single.</summary>
    BF16,

    /// <summary>IEEE single precision.</summary>
    F32,

    /// <summary>IEEE double precision.</summary>
    F64,

    /// <summary>Signed, 1 byte.</summary>
    I8,

    /// <summary>Signed, 2 bytes.</summary>
    I16,

    /// <summary>Signed, 4 bytes.</summary>
    I32,

    /// <summary>Signed, 8 bytes.</summary>
    I64,

    /// <summary>Unsigned, 1 byte.</summary>
    U8,

    /// <summary>Unsigned, 2 bytes.</summary>
    U16,

    /// <summary>Unsigned, 4 bytes.</summary>
    U32,

    /// <summary>Unsigned, 8 bytes.</summary>
    U64,

    /// <summary>Truth value, 1 byte.</summary>
    BOOL,

    /// <summary>8-bit float with 4 exponent bits.</summary>
    F8_E4M3,

    /// <summary>8-bit float with 5 exponent bits.</summary>
    F8_E5M2,
}

/// <summary>Sizes of <see cref="StoredType"/>.</summary>
internal static class StoredTypeSizes
{
    /// <summary>Bytes of one element.</summary>
    public static int Bytes(this StoredType type) => type switch
    {
        StoredType.I8 or StoredType.U8 or StoredType.BOOL or StoredType.F8_E4M3 or StoredType.F8_E5M2 => 1,
        StoredType.F16 or StoredType.BF16 or StoredType.I16 or StoredType.U16 => 2,
        StoredType.F32 or StoredType.I32 or StoredType.U32 => 4,
        _ => 8,
    };
}
