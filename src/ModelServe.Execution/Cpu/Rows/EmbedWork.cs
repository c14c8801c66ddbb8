using System.Runtime.CompilerServices;
using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Cpu.Vectors;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Rows;

/// <summary>Rows of an embedding table, widened.</summary>
internal unsafe struct EmbedWork
{
    /// <summary>[token] the row of the table.</summary>
    public int* TokenIds;

    /// <summary>[vocabulary, Columns].</summary>
    public byte* Table;

    /// <summary>How the table is stored.</summary>
    public ElementType Type;

    /// <summary>Rows of a table that lies in panels; 0 for a row-major one.</summary>
    public int TableRows;

    /// <summary>Lines at the head of each panel of a table that lies in narrow ones; else 0.</summary>
    public int HeadLines;

    /// <summary>[token, Columns].</summary>
    public float* Output;

    /// <summary>Tokens.</summary>
    public int Rows;

    /// <summary>Columns.</summary>
    public int Columns;

    /// <summary>The rows of a table that tokens name, to the first rows of the output.</summary>
    public static EmbedWork Of(WeightMatrix table, int* tokenIds, Activation output, int rows)
    {
        EmbedWork work;
        work.TokenIds = tokenIds;
        work.Table = (byte*)table.Data;
        work.Type = table.Type;
        work.TableRows = PanelProduct.IsPacked(table) ? table.Rows : 0;
        work.HeadLines = table.HeadLines;
        work.Output = output.Data;
        work.Rows = rows;
        work.Columns = table.Columns;
        return work;
    }

    /// <summary>Copies one part of several of the <see cref="EmbedWork"/> at <paramref name="context"/>.</summary>
    public static void Run(void* context, int part, int parts)
    {
        var work = (EmbedWork*)context;
        var last = (int)((long)work->Rows * (part + 1) / parts);
        for (var row = (int)((long)work->Rows * part / parts); row < last; row++)
        {
            var source = work->Table + ((long)work->TokenIds[row] * work->Columns * work->Type.Bytes());
            var target = work->Output + ((long)row * work->Columns);
            if (work->HeadLines != 0)
            {
                NativePanelMethods.ms_cpu_bf16_narrow_row((ushort*)work->Table, work->Columns, work->HeadLines, work->TokenIds[row], target);
            }
            else if (work->TableRows != 0)
            {
                NativePanelMethods.ms_cpu_bf16_row((ushort*)work->Table, work->TableRows, work->Columns, work->TokenIds[row], target);
            }
            else if (work->Type == ElementType.Float32)
            {
                Unsafe.CopyBlockUnaligned(target, source, (uint)work->Columns * sizeof(float));
            }
            else
            {
                BFloatLanes.Widen((ushort*)source, target, work->Columns);
            }
        }
    }
}
