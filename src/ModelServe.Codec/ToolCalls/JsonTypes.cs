namespace ModelServe.Codec.ToolCalls;

/// <summary>What a parameter's value may be.</summary>
[Flags]
internal enum JsonTypes
{
    /// <summary>A string.</summary>
    Text = 0,

    /// <summary>Null.</summary>
    Null = 1,

    /// <summary>true or false.</summary>
    Boolean = 2,

    /// <summary>A number, whole or not.</summary>
    Number = 4,

    /// <summary>An array.</summary>
    Array = 8,

    /// <summary>An object.</summary>
    Object = 16,
}
