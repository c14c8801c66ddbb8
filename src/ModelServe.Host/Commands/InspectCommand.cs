using System.CommandLine;
using System.Globalization;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Host.Models;
using ModelServe.Host.Options;

namespace ModelServe.Host.Commands;

/// <summary><c>modelserve inspect DIR</c>: architecture, parameters and memory plan, from the headers alone.</summary>
internal sealed class InspectCommand : Command
{
    private readonly Argument<string> _directory = new("dir") { Description = "checkpoint folder, or the name of a shipped model" };
    private readonly ModelOptionSet _modelOptions = new();

    /// <summary>Declares arguments, options and action.</summary>
    public InspectCommand()
        : base("inspect", "Show a checkpoint's architecture, parameters and memory plan without loading it")
    {
        Arguments.Add(_directory);
        _modelOptions.AddTo(this, loadsWeights: false);
        SetAction(parsed =>
        {
            string directory = ShippedModels.Resolve(parsed.GetValue(_directory)!);
            ModelLoadOptions options = _modelOptions.Read(parsed).ToLoadOptions();
            (ModelConfig config, MemoryPlan plan) = ModelLoader.Inspect(directory, options);
            Write(Console.Out, config, plan);
            Console.Out.WriteLine($"{"kernels",-18}{ModelLoader.DescribeKernels(options)}");
            return 0;
        });
    }

    private static void Write(TextWriter writer, ModelConfig config, MemoryPlan plan)
    {
        Line("architecture", config.Architecture);
        Line("parameters", config.Parameters.ToString("N0", CultureInfo.InvariantCulture));
        Line("layers", Text(config.Layers));
        Line("hidden size", Text(config.HiddenSize));
        Line("heads", $"{config.QueryHeads} query, {config.KeyValueHeads} key-value, {config.HeadDim} wide");
        Line("vocabulary", Text(config.VocabularySize));
        Line("positions", Text(config.MaxPositions));
        writer.WriteLine();
        writer.Write(plan.ToTable());

        void Line(string name, string value) => writer.WriteLine($"{name,-18}{value}");
        static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
    }
}
