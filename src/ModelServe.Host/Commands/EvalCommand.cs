using System.CommandLine;
using System.Globalization;
using ModelServe.Host.Evaluation;
using ModelServe.Host.Models;
using ModelServe.Host.Options;

namespace ModelServe.Host.Commands;

/// <summary><c>modelserve eval --model DIR FILE</c>: asks every question of a file greedily and prints the accuracy per task.</summary>
internal sealed class EvalCommand : Command
{
    private readonly Argument<FileInfo> _file = new Argument<FileInfo>("file") { Description = "questions, one JSON object a line" }.AcceptExistingOnly();
    private readonly Option<string> _model = new("--model") { Description = "checkpoint folder, or the name of a shipped model", DefaultValueFactory = _ => ShippedModels.Default };
    private readonly Option<int?> _maxTokens = new("--max-tokens") { Description = "most new tokens an answer (default 96)" };
    private readonly Option<double?> _minAccuracy = new("--min-accuracy") { Description = "exit with 1 below this share in [0, 1]" };
    private readonly Option<bool> _showWrong = new("--show-wrong") { Description = "print each wrong answer to standard error" };
    private readonly ModelOptionSet _modelOptions = new(severalDevices: true);

    /// <summary>Declares arguments, options and action.</summary>
    public EvalCommand()
        : base("eval", "Measure a model's accuracy on a file of questions")
    {
        Arguments.Add(_file);
        ModelOptionSet.AddRange(_maxTokens, 1, 1 << 20);
        ModelOptionSet.AddRange(_minAccuracy, 0.0, 1.0);
        foreach (Option option in new Option[] { _model, _maxTokens, _minAccuracy, _showWrong })
        {
            Options.Add(option);
        }

        _modelOptions.AddTo(this);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        List<EvalQuestion> questions = EvalQuestion.ReadFile(parsed.GetValue(_file)!.FullName);
        using HostedModel model = HostedModel.Load(
            new ModelReference("eval", ShippedModels.Resolve(parsed.GetValue(_model)!)), _modelOptions.Read(parsed), requireText: true, TimeProvider.System);
        EvalRunner runner = new(model, parsed.GetValue(_maxTokens) ?? 96);
        EvalReport report = await runner.RunAsync(questions, parsed.GetValue(_showWrong) ? Console.Error : TextWriter.Null, cancellationToken);
        report.WriteTo(Console.Out);
        double floor = parsed.GetValue(_minAccuracy) ?? 0;
        if (report.Accuracy < floor)
        {
            await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"modelserve: accuracy {report.Accuracy:0.0000} is below --min-accuracy {floor}"));
            return 1;
        }

        return 0;
    }
}
