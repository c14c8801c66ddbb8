using System.Globalization;
using ModelServe.Trainer.Data;
using ModelServe.Trainer.Model;
using ModelServe.Trainer.Text;
using ModelServe.Trainer.Training;
using TorchSharp;

namespace ModelServe.Trainer;

/// <summary>What the trainer can be asked to do from the command line.</summary>
internal static class Commands
{
    public const string Usage = """
        data      [--out models/eval]                                   write the evaluation sets
        tokenizer                                                       show the vocabulary and encoded samples
        train     --model nano|mini --out DIR --minutes N | --steps N   train; DIR/model is the Hugging Face directory
        eval      --model nano|mini --dir DIR [--show 1]                accuracy per task of a saved model
        ask       --model nano|mini --dir DIR --question TEXT           one greedy answer
        """;

    private const int EasySeed = 7;
    private const int HardSeed = 8;

    public static void WriteEvalFiles(TrainingOptions options)
    {
        string folder = options.Text("out", Path.Combine("models", "eval"));
        Directory.CreateDirectory(folder);
        EvalFiles.Write(Path.Combine(folder, "easy.jsonl"), EvalFiles.Draw(hard: false, EasySeed));
        EvalFiles.Write(Path.Combine(folder, "hard.jsonl"), EvalFiles.Draw(hard: true, HardSeed));
    }

    public static void ShowTokenizer()
    {
        Bpe bpe = TrainTokenizer();
        Mixture mixture = new(new Random(5));
        Console.WriteLine(string.Join(' ', bpe.Tokens.Skip(Bpe.Specials.Length + 256)));
        for (int i = 0; i < 40; i++)
        {
            Conversation conversation = Conversation.Of(bpe, [mixture.Train(0.5, 0.5)], system: false);
            Console.WriteLine($"{conversation.Ids.Length} {string.Join('|', conversation.Ids.Select(t => bpe.Tokens[t]))}");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{bpe.Tokens.Count} tokens"));
    }

    public static void Train(TrainingOptions options)
    {
        using TrainingRun run = new(options, TrainTokenizer());
        run.Train();
    }

    /// <summary>Scores the saved bfloat16 weights on both evaluation sets.</summary>
    public static void Evaluate(TrainingOptions options)
    {
        (Decoder model, Bpe bpe) = Load(options);
        using Decoder owned = model;
        bool show = options.Whole("show", 0) > 0;
        foreach ((string name, bool hard, int seed) in new[] { ("easy", false, EasySeed), ("hard", true, HardSeed) })
        {
            SortedDictionary<string, (int Right, int Total)> score = GreedyEvaluator.Run(
                model, bpe, EvalFiles.Draw(hard, seed), (problem, answer) =>
                {
                    if (show)
                    {
                        Console.WriteLine($"{problem.Task}: {problem.Question} -> {answer} (expected {problem.Answer})");
                    }
                });
            Console.WriteLine($"{name} {score.Values.Sum(s => s.Right)}/{score.Values.Sum(s => s.Total)} {GreedyEvaluator.Summary(score)}");
        }
    }

    public static void Ask(TrainingOptions options)
    {
        (Decoder model, Bpe bpe) = Load(options);
        using Decoder owned = model;
        Problem problem = new("ask", "ask", options.Text("question", "What is 27 + 58?"), "");
        GreedyEvaluator.Run(model, bpe, [problem], (_, answer) => Console.WriteLine(answer));
    }

    private static (Decoder Model, Bpe Bpe) Load(TrainingOptions options)
    {
        string name = options.Text("model", "nano");
        string directory = options.Text("dir", Path.Combine("models", "tiny-" + name));
        Bpe bpe = TokenizerFiles.Read(Path.Combine(directory, "tokenizer.json"));
        Decoder model = new(DecoderShape.Named(name, bpe.Tokens.Count), seed: 1)
        {
            Compute = options.Text("compute", "f32") == "bf16" ? torch.ScalarType.BFloat16 : torch.ScalarType.Float32,
        };
        Safetensors.ReadInto(Path.Combine(directory, "model.safetensors"), model.Weights);
        return (model, bpe);
    }

    private static Bpe TrainTokenizer()
    {
        Mixture mixture = new(new Random(11));
        IEnumerable<string> corpus = Enumerable.Range(0, 20_000).Select(_ => mixture.Train(0.5, 0.5)).SelectMany(Texts);
        return BpeTrainer.Train(corpus, vocabulary: 1024, minimum: 60);
    }

    private static IEnumerable<string> Texts(Problem problem)
    {
        yield return "user\n" + problem.Question;
        yield return "assistant\n" + problem.Answer;
        if (problem.Key.Length % 24 == 0)
        {
            yield return "system\n" + Conversation.SystemPrompt;
        }
    }
}
