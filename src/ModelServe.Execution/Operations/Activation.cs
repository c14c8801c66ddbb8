namespace ModelServe.Execution.Operations;

/// <summary>A matrix of the arena, float32 but where a device computes in less: one row per token (or sampled sequence), contiguous, reused in every step and layer.</summary>
/// <remarks>
/// A view: <see cref="Memory.ActivationArena"/> owns the bytes and outlives it. <see cref="Rows"/> is the capacity; every operation says
/// how many rows of it are in use. Starts at a multiple of 64 bytes. Engine thread only, except inside one operation.
/// </remarks>
internal sealed unsafe class Activation
{
    /// <summary>A view of <paramref name="rows"/> × <paramref name="columns"/> floats at <paramref name="data"/>.</summary>
    /// <remarks>Where <paramref name="type"/> is not float32, the elements at the address are of that type, and only its operations read them.</remarks>
    public Activation(float* data, int rows, int columns, ElementType type = ElementType.Float32)
    {
        Type = type;
        Data = data;
        Rows = rows;
        Columns = columns;
    }

    /// <summary>The first element; row r starts at <c>Data + r * Columns</c>.</summary>
    public float* Data { get; }

    /// <summary>How the elements are stored.</summary>
    public ElementType Type { get; }

    /// <summary>Rows that fit.</summary>
    public int Rows { get; }

    /// <summary>Elements of a row, also the distance between rows.</summary>
    public int Columns { get; }

    /// <summary>One row.</summary>
    public Span<float> Row(int row) => new(Data + ((long)row * Columns), Columns);
}
