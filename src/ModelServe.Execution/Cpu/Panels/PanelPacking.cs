using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Panels;

/// <summary>Rearranges row-major bfloat16 weights in panels where they lie: in 12 bits a weight where that loses nothing and is worth it, else in 16.</summary>
/// <remarks>
/// A weight's exponent is one of 16 that its row has most of; the few others are exceptions, listed at the head of their panel. A matrix of
/// which any panel would list more than one in <see cref="PanelElementsPerException"/>, or whose shape does not fill the panels, keeps 16 bits.
/// </remarks>
internal static unsafe class PanelPacking
{
    /// <summary>Elements of a panel for each exception that it may have.</summary>
    public const int PanelElementsPerException = 1024;

    /// <summary>Exceptions that a panel may have however small it is.</summary>
    public const int LeastExceptions = 7;

    /// <summary>Makes panels of a weight that <see cref="PanelProduct.Fits"/>.</summary>
    /// <param name="pool">Does the work.</param>
    /// <param name="weight">What is rearranged.</param>
    /// <param name="narrow">Whether 12 bits a weight are wanted.</param>
    public static void Pack(ForkJoinPool pool, WeightMatrix weight, bool narrow)
    {
        var panels = (weight.Rows + PanelProduct.PanelRows - 1) / PanelProduct.PanelRows;
        var parts = Math.Min(pool.Threads, panels);
        using var scratch = new NativeBuffer((long)parts * PanelProduct.PanelRows * weight.Columns * sizeof(ushort));
        using var surveys = new NativeBuffer(parts * sizeof(NarrowSurvey));
        Packing packing;
        packing.Weight = (ushort*)weight.Data;
        packing.Scratch = (ushort*)scratch.Pointer;
        packing.Surveys = (NarrowSurvey*)surveys.Pointer;
        packing.Rows = weight.Rows;
        packing.Columns = weight.Columns;
        packing.HeadLines = narrow ? ChooseHeadLines(pool, &packing, parts, weight.Bias is not null) : 0;
        pool.Run(&PackPart, &packing, parts);
        if (packing.HeadLines == 0)
        {
            weight.Layout = WeightLayout.Panels;
        }
        else
        {
            CloseUp(&packing, panels, parts);
            weight.BecomeNarrow(packing.HeadLines, panels * NativePanelMethods.ms_cpu_bf16_panel_bytes(weight.Columns, packing.HeadLines));
        }

        weight.Companion = new PanelFollower();
    }

    // Lines of the heads of narrow panels; 0 where the weight is not to have them.
    private static int ChooseHeadLines(ForkJoinPool pool, Packing* packing, int parts, bool hasBias)
    {
        if (packing->Rows % PanelProduct.PanelRows != 0 || packing->Columns % 8 != 0)
        {
            return 0;
        }

        pool.Run(&SurveyPart, packing, parts);
        NarrowSurvey sum = default;
        for (var part = 0; part < parts; part++)
        {
            var survey = packing->Surveys + part;
            sum.Most = Math.Max(sum.Most, survey->Most);
            sum.Unfit += survey->Unfit;
            sum.ZeroRows += survey->ZeroRows;
        }

        // A row of zeros has no factor that would bring its bias back.
        var most = Math.Max(LeastExceptions, PanelProduct.PanelRows * packing->Columns / PanelElementsPerException);
        var lines = NativePanelMethods.ms_cpu_bf16_head_lines(sum.Most);
        var smaller = NativePanelMethods.ms_cpu_bf16_panel_bytes(packing->Columns, lines) < NativePanelMethods.ms_cpu_bf16_panel_bytes(packing->Columns, 0);
        return sum.Unfit > 0 || (hasBias && sum.ZeroRows > 0) || sum.Most > most || !smaller ? 0 : lines;
    }

    // Each part's panels follow one another from where its first one was: the parts move together.
    private static void CloseUp(Packing* packing, int panels, int parts)
    {
        var bytes = NativePanelMethods.ms_cpu_bf16_panel_bytes(packing->Columns, packing->HeadLines);
        for (var part = 1; part < parts; part++)
        {
            var (first, last) = Share(panels, part, parts);
            var length = (last - first) * bytes;
            Buffer.MemoryCopy(packing->Weight + ((long)first * PanelProduct.PanelRows * packing->Columns), (byte*)packing->Weight + (first * bytes), length, length);
        }
    }

    private static (int First, int Last) Share(int panels, int part, int parts) =>
        ((int)((long)panels * part / parts), (int)((long)panels * (part + 1) / parts));

    private static void SurveyPart(void* context, int part, int parts)
    {
        var packing = (Packing*)context;
        var (first, last) = Share(packing->Rows / PanelProduct.PanelRows, part, parts);
        NativePanelMethods.ms_cpu_bf16_survey(packing->Weight, packing->Rows, packing->Columns, first, last, packing->Surveys + part);
    }

    private static void PackPart(void* context, int part, int parts)
    {
        var packing = (Packing*)context;
        var (first, last) = Share((packing->Rows + PanelProduct.PanelRows - 1) / PanelProduct.PanelRows, part, parts);
        var scratch = packing->Scratch + ((long)part * PanelProduct.PanelRows * packing->Columns);
        if (packing->HeadLines == 0)
        {
            NativePanelMethods.ms_cpu_bf16_pack(packing->Weight, packing->Rows, packing->Columns, first, last, scratch);
        }
        else
        {
            NativePanelMethods.ms_cpu_bf16_narrow(packing->Weight, packing->Columns, first, last, packing->HeadLines, scratch);
        }
    }

    private struct Packing
    {
        public ushort* Weight;
        public ushort* Scratch;
        public NarrowSurvey* Surveys;
        public int Rows;
        public int Columns;
        public int HeadLines;
    }
}
