using ModelServe.Host.Evaluation;
using ModelServe.Host.Models;
using ModelServe.Host.Options;
using Xunit;

namespace ModelServe.Host.Tests.Gpu;

/// <summary>A shipped model by the GPU's way of computing, on the stub: a wrong fusion or scale shows as lost answers.</summary>
/// <remarks>A tenth of the questions: the stub is plain loops. Of all 650, 628 are right in bfloat16 and 629 in fp8.</remarks>
public sealed class GpuAccuracyTests(GpuStub stub)
{
    private const int EveryNth = 10;

    [Theory]
    [InlineData("none", "auto", 61)]
    [InlineData("fp8", "auto", 61)]
    [InlineData("fp8", "fp8", 61)]
    public async Task A_shipped_model_answers_as_well_as_on_the_CPU(string quantize, string kvDType, int floor)
    {
        Assert.SkipWhen(stub.WhyMissing is not null, stub.WhyMissing ?? "");
        EngineSettings settings = new()
        {
            Device = "cuda",
            KernelLibrary = stub.Library,
            Quantize = quantize,
            KvDType = kvDType,
            CacheDirectory = "none",
            MaxRunning = 32,
            MaxBatchedTokens = 256,
            KvMemoryBytes = 32 << 20,
        };
        using HostedModel model = HostedModel.Load(
            new ModelReference("tiny-nano", ShippedModels.Resolve("tiny-nano")), settings, requireText: true, TimeProvider.System);
        string file = Path.Combine(Path.GetDirectoryName(GpuStub.NativeSources())!, "models", "eval", "easy.jsonl");
        EvalQuestion[] questions = [.. EvalQuestion.ReadFile(file).Where((_, i) => i % EveryNth == 0)];
        EvalReport report = await new EvalRunner(model, maxTokens: 96)
            .RunAsync(questions, TextWriter.Null, TestContext.Current.CancellationToken);
        using StringWriter table = new();
        report.WriteTo(table);
        Assert.True(report.Accuracy * questions.Length >= floor - 1e-6, $"fewer than {floor} of {questions.Length} are right:\n{table}");
    }
}
