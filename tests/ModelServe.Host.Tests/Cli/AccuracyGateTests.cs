using ModelServe.Host.Evaluation;
using ModelServe.Host.Models;
using ModelServe.Host.Options;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>The shipped models' measured accuracy is a gate: a wrong KV block or kernel shows as lost answers.</summary>
/// <remarks>The floors lie one point below what was measured when the models were made (models/README.md).</remarks>
public sealed class AccuracyGateTests
{
    [Theory]
    [InlineData("tiny-nano", "easy", 0.956)]
    [InlineData("tiny-mini", "easy", 0.979)]
    [InlineData("tiny-mini", "hard", 0.954)]
    public async Task A_shipped_model_answers_as_well_as_when_it_was_made(string name, string file, double floor) =>
        await AnswersAsync(name, file, new EngineSettings(), floor);

    [Theory]
    [InlineData("tiny-nano", "easy", "int8", 0.956)]
    [InlineData("tiny-nano", "easy", "int4", 0.956)]
    [InlineData("tiny-mini", "easy", "int8", 0.979)]
    [InlineData("tiny-mini", "easy", "int4", 0.979)]
    [InlineData("tiny-mini", "hard", "int8", 0.954)]
    [InlineData("tiny-mini", "hard", "int4", 0.954)]
    public async Task A_quantised_model_answers_within_a_point_of_the_one_it_was_made_from(string name, string file, string format, double floor) =>
        await AnswersAsync(name, file, new EngineSettings { Quantize = format, CacheDirectory = "none" }, floor);

    [Theory]
    [InlineData("tiny-nano", "easy", 0.956)]
    [InlineData("tiny-mini", "hard", 0.954)]
    public async Task Keys_and_values_in_8_bits_cost_less_than_a_point(string name, string file, double floor) =>
        await AnswersAsync(name, file, new EngineSettings { KvDType = "int8" }, floor);

    private static async Task AnswersAsync(string name, string file, EngineSettings settings, double floor)
    {
        using HostedModel model = HostedModel.Load(
            new ModelReference(name, ShippedModels.Resolve(name)), settings, requireText: true, TimeProvider.System);
        EvalReport report = await new EvalRunner(model, maxTokens: 96)
            .RunAsync(EvalQuestion.ReadFile(EvalFile(file)), TextWriter.Null, TestContext.Current.CancellationToken);
        using StringWriter table = new();
        report.WriteTo(table);
        Assert.True(report.Accuracy >= floor, $"{name} on {file} is below {floor}:\n{table}");
    }

    private static string EvalFile(string name)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string file = Path.Combine(folder.FullName, "models", "eval", name + ".jsonl");
            if (File.Exists(file))
            {
                return file;
            }
        }

        throw new FileNotFoundException("models/eval lies in no folder above the test program");
    }
}
