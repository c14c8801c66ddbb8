using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu.Panels;

/// <summary>The functions of the native CPU library for bfloat16 weights in panels, as <c>modelserve_cpu.h</c> declares them.</summary>
/// <remarks><see cref="NativeCpu.Load()"/> must have found the features that a function names.</remarks>
internal static unsafe partial class NativePanelMethods
{
    private const string Library = "modelserve_cpu";

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_pack(ushort* weight, int rows, int columns, int first, int last, ushort* scratch);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_arrange(PanelProductArguments* product, int first, int last);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_norm(PanelProductArguments* product, PanelNormArguments* norm, int first, int last);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_multiply(
        PanelProductArguments* product, int first, int last, PanelProductArguments* next, int nextPanel);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_fetch(PanelProductArguments* product, int panel, int firstPair, int pairs);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_row(ushort* weight, int rows, int columns, int row, float* output);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_survey(ushort* weight, int rows, int columns, int first, int last, NarrowSurvey* survey);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int ms_cpu_bf16_head_lines(int exceptions);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial long ms_cpu_bf16_panel_bytes(int columns, int headLines);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_narrow(ushort* weight, int columns, int first, int last, int headLines, ushort* scratch);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_narrow_row(ushort* weight, int columns, int headLines, int row, float* output);
}
