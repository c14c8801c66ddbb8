using System.Globalization;
using ModelServe.Trainer.Data;
using ModelServe.Trainer.Model;
using ModelServe.Trainer.Text;
using ModelServe.Trainer.Training;
using TorchSharp;

string command = args.Length > 0 ? args[0] : "help";
TrainingOptions options = new(args.AsSpan(Math.Min(1, args.Length)));
torch.set_num_threads(options.Whole("threads", 1));
switch (command)
{
    case "data":
        Directory.CreateDirectory(options.Text("out", "models/eval"));
        EvalFiles.Write(Path.Combine(options.Text("out", "models/eval"), "easy.jsonl"), EvalFiles.Draw(hard: false, 7));
        EvalFiles.Write(Path.Combine(options.Text("out", "models/eval"), "hard.jsonl"), EvalFiles.Draw(hard: true, 8));
        return 0;
    case "tokenizer":
        ShowTokenizer(TrainTokenizer());
        return 0;
    case "train":
        using (TrainingRun run = new(options, TrainTokenizer()))
        {
            run.Train();
        }

        return 0;
    case "eval":
        Evaluate(options);
        return 0;
    default:
        Console.Error.WriteLine("data | tokenizer | train --model nano|mini --minutes N | eval --model nano|mini --dir DIR");
        return 2;
}

static Bpe TrainTokenizer()
{
    Mixture mixture = new(new Random(11));
    IEnumerable<string> corpus = Enumerable.Range(0, 20_000).Select(i => mixture.Train(0.5)).SelectMany(p => new[]
    {
        "user\n" + p.Question, "assistant\n" + p.Answer, i(p),
    });
    return BpeTrainer.Train(corpus, 1024, minimum: 60);

    static string i(Problem p) => p.Key.Length % 24 == 0 ? "system\n" + Conversation.SystemPrompt : "";
}

static void ShowTokenizer(Bpe bpe)
{
    Mixture mixture = new(new Random(5));
    Console.WriteLine(bpe.Tokens.Count.ToString(CultureInfo.InvariantCulture) + " tokens");
    Console.WriteLine(string.Join(' ', bpe.Tokens.Skip(259)));
    for (int i = 0; i < 40; i++)
    {
        Problem problem = mixture.Train(0.5);
        Conversation conversation = Conversation.Of(bpe, [problem], system: false);
        Console.WriteLine($"{conversation.Ids.Length} {string.Join('|', conversation.Ids.Select(t => bpe.Tokens[t]))}");
    }
}

static void Evaluate(TrainingOptions options)
{
    string directory = options.Text("dir", "models/tiny-nano");
    Bpe bpe = TokenizerFiles.Read(Path.Combine(directory, "tokenizer.json"));
    using Decoder model = new(DecoderShape.Named(options.Text("model", "nano"), bpe.Tokens.Count), 1);
    model.Compute = options.Text("compute", "f32") == "bf16" ? torch.ScalarType.BFloat16 : torch.ScalarType.Float32;
    Safetensors.ReadInto(Path.Combine(directory, "model.safetensors"), model.Weights);
    bool show = options.Whole("show", 0) > 0;
    foreach ((string name, bool hard, int seed) in new[] { ("easy", false, 7), ("hard", true, 8) })
    {
        var score = GreedyEvaluator.Run(model, bpe, EvalFiles.Draw(hard, seed), (problem, answer) =>
        {
            if (show)
            {
                Console.WriteLine($"{problem.Task}: {problem.Question} -> {answer} (expected {problem.Answer})");
            }
        });
        Console.WriteLine($"{name} {score.Values.Sum(s => s.Right)}/{score.Values.Sum(s => s.Total)} {GreedyEvaluator.Summary(score)}");
    }
}
