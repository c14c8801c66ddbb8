using System.Globalization;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Quantization;

namespace ModelServe.Benchmarks;

/// <summary>How far a quantised checkpoint's greedy tokens are from what the same checkpoint prefers unquantised, on the quantised one's own prefixes.</summary>
internal static class NearTies
{
    private const int PromptTokens = 32;
    private const int NewTokens = 32;
    private const int Best = 20;

    /// <summary>Prints the share of equal choices and the distances in nats, over several prompts.</summary>
    public static async Task PrintAsync(TextWriter output, string directory, WeightQuantization quantization, int prompts)
    {
        ModelLoadOptions options = new() { MaxSequences = 4, MaxModelLength = 256 };
        List<int[]> sequences = [];
        using (Runner quantised = new(directory, options with { Quantization = quantization }))
        {
            for (int prompt = 0; prompt < prompts; prompt++)
            {
                Random random = new(prompt);
                int[] tokens = [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(quantised.Vocabulary))];
                sequences.Add([.. tokens, .. (await quantised.RunAsync(tokens, NewTokens)).Tokens]);
            }
        }

        using Runner judge = new(directory, options);
        List<double> distances = [];
        foreach (int[] sequence in sequences)
        {
            for (int length = PromptTokens; length < sequence.Length; length++)
            {
                (_, TokenDelta first) = await judge.RunAsync(sequence[..length], 1);
                int rank = first.TopTokenIds.ToList().IndexOf(sequence[length]);
                distances.Add(rank < 0 ? double.PositiveInfinity : first.TopLogprobs[0] - first.TopLogprobs[rank]);
            }
        }

        await output.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{quantization.Format}, head {quantization.Head}: {distances.Count} tokens, {distances.Count(distance => distance == 0) / (double)distances.Count:P1} the same, within 0.5 nat {distances.Count(distance => distance <= 0.5) / (double)distances.Count:P1}, mean {distances.Where(double.IsFinite).Average():0.000}, largest {distances.Max():0.000} nat"));
    }

    /// <summary>A loaded model with its engine.</summary>
    private sealed class Runner : IDisposable
    {
        private readonly LoadedModel _model;
        private readonly EngineLoop _engine;

        public Runner(string directory, ModelLoadOptions options)
        {
            _model = ModelLoader.Load(directory, options, progress: null);
            _engine = new EngineLoop(_model.Executor, new EngineOptions(), TimeProvider.System);
            _engine.Start();
        }

        public int Vocabulary => _model.Config.VocabularySize;

        public async Task<(List<int> Tokens, TokenDelta Last)> RunAsync(int[] prompt, int count)
        {
            GenerationRequest request = new()
            {
                RequestId = "ties",
                PromptTokenIds = prompt,
                MaxTokens = count,
                Sampling = SamplingOptions.Greedy with { TopLogprobs = Best },
            };
            if (!_engine.Admit(request).IsAccepted(out TokenStream? stream, out Rejection? rejection))
            {
                throw new InvalidOperationException(rejection.Message);
            }

            using (stream)
            {
                List<int> tokens = [];
                TokenDelta delta = new();
                TokenDelta last = delta;
                while (tokens.Count < count && await stream.ReadAsync(delta, CancellationToken.None))
                {
                    tokens.AddRange(delta.TokenIds);
                }

                return (tokens, last);
            }
        }

        public void Dispose()
        {
            _engine.Dispose();
            _model.Dispose();
        }
    }
}
