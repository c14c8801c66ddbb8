using System.Text.Json.Nodes;
using ModelServe.Trainer.Text;
using static TorchSharp.torch;

namespace ModelServe.Trainer.Model;

/// <summary>A complete Hugging Face directory of one model.</summary>
internal static class ModelDirectory
{
    public static void Write(string directory, DecoderShape shape, IReadOnlyDictionary<string, Tensor> weights, Bpe bpe)
    {
        Directory.CreateDirectory(directory);
        TokenizerFiles.Save(shape.Config(), Path.Combine(directory, "config.json"));
        JsonObject generation = new()
        {
            ["do_sample"] = false,
            ["eos_token_id"] = Bpe.EndOfTurn,
            ["pad_token_id"] = Bpe.EndOfText,
        };
        TokenizerFiles.Save(generation, Path.Combine(directory, "generation_config.json"));
        TokenizerFiles.Write(bpe, directory, DecoderShape.MaxPositions);
        Safetensors.Write(Path.Combine(directory, "model.safetensors"), weights, bfloat16: true);
    }
}
