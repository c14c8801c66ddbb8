using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;
using ModelServe.Engine.Running;
using ModelServe.Engine.Tests.Planning;

namespace ModelServe.Engine.Tests.Running;

/// <summary>An engine over a device whose steps take time on the test's clock, and the steps that it ran.</summary>
internal sealed class TimedScenario : IDisposable
{
    private readonly List<Step> _steps = [];

    public TimedScenario(Device device, EngineOptions options, int depth = 1, int maxBatched = 512)
    {
        Scenario = new EngineScenario(new ExecutorGeometry(50, 2048, 16, 2049, 16, maxBatched, 0), options, depth);
        Scenario.Executor.Collecting = plan =>
        {
            var shape = StepShape.Of(plan);
            var milliseconds = device.Milliseconds(shape) * Slowness * (plan.ScoredCount > 0 ? ScoringSlowness : 1);
            var plain = device.Milliseconds(StepShape.Generating(shape.Rows - shape.PromptTokens, shape.Attended)) * Slowness;
            Scenario.Time.Advance(TimeSpan.FromMilliseconds(milliseconds));
            _steps.Add(new Step(shape.Rows - shape.PromptTokens, shape.PromptTokens, milliseconds, plain));
        };
    }

    public EngineScenario Scenario { get; }

    /// <summary>By what the device is slower than it was made.</summary>
    public double Slowness { get; set; } = 1;

    /// <summary>By what a step is slower that scores prompt tokens.</summary>
    public double ScoringSlowness { get; set; } = 1;

    public IReadOnlyList<Step> Steps => _steps;

    /// <summary>Lets streams begin and answers them for some steps while prompts come now and then, so that the device's speed is known.</summary>
    public void Acquaint(int streams)
    {
        for (var i = 0; i < streams; i++)
        {
            Admit($"stream {i}", 32, 1900);
        }

        for (var i = 0; i < 8; i++)
        {
            Run(20);
            Admit($"acquaintance {i}", 40, 1);
        }

        Run(40);
        _steps.Clear();
    }

    public Conversation Admit(string id, int promptTokens, int maxTokens, int? promptLogprobs = null) =>
        Scenario.Admit(EngineScenario.Request(id, EngineScenario.Prompt(promptTokens, id.Length + id[^1]), maxTokens) with
        {
            BypassPrefixCache = true,
            Sampling = SamplingOptions.Greedy with { PromptLogprobs = promptLogprobs },
        });

    public void Run(int steps)
    {
        for (var i = 0; i < steps; i++)
        {
            Scenario.Step();
        }
    }

    public void Dispose() => Scenario.Dispose();

    /// <summary>One step that ran.</summary>
    /// <param name="Generating">Sequences that fed one token.</param>
    /// <param name="Prompt">Prompt tokens.</param>
    /// <param name="Milliseconds">What it took.</param>
    /// <param name="Plain">What it would have taken without the prompt tokens.</param>
    internal sealed record Step(int Generating, int Prompt, double Milliseconds, double Plain)
    {
        public double Stretch => Milliseconds / Plain;
    }
}
