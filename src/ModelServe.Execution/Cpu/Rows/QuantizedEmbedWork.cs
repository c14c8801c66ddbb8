using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cpu.Rows;

/// <summary>Rows of a quantised embedding table, widened.</summary>
internal unsafe struct QuantizedEmbedWork
{
    /// <summary>[token] the row of the table.</summary>
    public int* TokenIds;

    /// <summary>The table, laid out as <see cref="Shape"/> says.</summary>
    public byte* Table;

    /// <summary>Its layout.</summary>
    public QuantizedShape Shape;

    /// <summary>[token, columns].</summary>
    public float* Output;

    /// <summary>Tokens.</summary>
    public int Rows;

    /// <summary>Copies one part of several of the <see cref="QuantizedEmbedWork"/> at <paramref name="context"/>.</summary>
    public static void Run(void* context, int part, int parts)
    {
        var work = (QuantizedEmbedWork*)context;
        var last = (int)((long)work->Rows * (part + 1) / parts);
        for (var row = (int)((long)work->Rows * part / parts); row < last; row++)
        {
            QuantizedRow.Widen(work->Shape, work->Table, work->TokenIds[row], work->Output + ((long)row * work->Shape.Columns));
        }
    }
}
