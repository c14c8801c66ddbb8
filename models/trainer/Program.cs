using ModelServe.Trainer;
using ModelServe.Trainer.Training;
using TorchSharp;

TrainingOptions options = new(args.AsSpan(Math.Min(1, args.Length)));
torch.set_num_threads(options.Whole("threads", 1));
switch (args.FirstOrDefault())
{
    case "data":
        Commands.WriteEvalFiles(options);
        return 0;
    case "tokenizer":
        Commands.ShowTokenizer();
        return 0;
    case "train":
        Commands.Train(options);
        return 0;
    case "eval":
        Commands.Evaluate(options);
        return 0;
    case "ask":
        Commands.Ask(options);
        return 0;
    default:
        await Console.Error.WriteLineAsync(Commands.Usage);
        return 2;
}
