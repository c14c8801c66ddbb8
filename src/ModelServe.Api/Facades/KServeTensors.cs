using System.Buffers.Binary;
using System.Text;
using Google.Protobuf;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.Facades.KServe;
using ModelServe.V1;
using InputTensor = ModelServe.Facades.KServe.ModelInferRequest.Types.InferInputTensor;
using OutputTensor = ModelServe.Facades.KServe.ModelInferResponse.Types.InferOutputTensor;
using Own = ModelServe.V1.GenerateRequest;
using Parameter = ModelServe.Facades.KServe.InferParameter;

namespace ModelServe.Api.Facades;

/// <summary>One text as a tensor of bytes, there and back, and the few parameters that are read.</summary>
internal static class KServeTensors
{
    /// <summary>Name of the input.</summary>
    public const string Input = "text_input";

    /// <summary>Name of the output.</summary>
    public const string Output = "text_output";

    /// <summary>Type of both.</summary>
    public const string DataType = "BYTES";

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Translates a request.</summary>
    public static Rejection? Translate(ModelInferRequest request, out Own own)
    {
        own = new Own
        {
            Options = new GenerationOptions { Sampling = new SamplingParameters(), Stop = new StopConditions() },
        };
        if (request.ModelName.Length > 0)
        {
            own.Model = request.ModelName;
        }

        if (request.Id.Length > 0)
        {
            own.Options.RequestId = request.Id;
        }

        if ((ReadText(request, out string text) ?? ReadOutputs(request)) is { } rejection)
        {
            return rejection;
        }

        own.Text = text;
        foreach ((string name, Parameter value) in request.Parameters)
        {
            if (ReadParameter(name, value, own.Options) is { } bad)
            {
                return bad;
            }
        }

        return null;
    }

    /// <summary>The answer, in the form in which the request came.</summary>
    public static ModelInferResponse Answer(ModelInferRequest request, GenerationResult result)
    {
        var response = new ModelInferResponse
        {
            ModelName = result.Accepted.Model,
            ModelVersion = "1",
            Id = request.Id,
            Parameters =
            {
                ["finish_reason"] = new Parameter { StringParam = result.Finished.Reason.ToString() },
                ["prompt_tokens"] = new Parameter { Int64Param = result.Finished.Usage.PromptTokens },
                ["completion_tokens"] = new Parameter { Int64Param = result.Finished.Usage.CompletionTokens },
            },
        };
        var tensor = new OutputTensor { Name = Output, Datatype = DataType, Shape = { 1 } };
        byte[] text = Encoding.UTF8.GetBytes(result.Output.Text);
        if (request.RawInputContents.Count > 0)
        {
            var raw = new byte[sizeof(uint) + text.Length];
            BinaryPrimitives.WriteUInt32LittleEndian(raw, (uint)text.Length);
            text.CopyTo(raw, sizeof(uint));
            response.RawOutputContents.Add(UnsafeByteOperations.UnsafeWrap(raw));
        }
        else
        {
            tensor.Contents = new InferTensorContents { BytesContents = { UnsafeByteOperations.UnsafeWrap(text) } };
        }

        response.Outputs.Add(tensor);
        return response;
    }

    private static Rejection? ReadText(ModelInferRequest request, out string text)
    {
        text = string.Empty;
        if (request.Inputs.Count != 1)
        {
            return FieldCheck.Invalid("inputs", $"one tensor '{Input}'", $"{FieldCheck.Text(request.Inputs.Count)} tensors");
        }

        InputTensor tensor = request.Inputs[0];
        if (tensor.Name != Input || tensor.Datatype != DataType || tensor.Shape.Count is 0 or > 2 || tensor.Shape.Any(size => size != 1))
        {
            return FieldCheck.Invalid(
                "inputs[0]",
                $"'{Input}' of type {DataType} and shape [1] or [1, 1]",
                $"{FieldCheck.Quote(tensor.Name)} of type {FieldCheck.Quote(tensor.Datatype)}");
        }

        return Element(request, tensor, out ReadOnlyMemory<byte> bytes) ?? Decode(bytes.Span, out text);
    }

    private static Rejection? Element(ModelInferRequest request, InputTensor tensor, out ReadOnlyMemory<byte> bytes)
    {
        bytes = default;
        int raws = request.RawInputContents.Count;
        int elements = tensor.Contents?.BytesContents.Count ?? 0;
        if (raws + elements != 1)
        {
            return FieldCheck.Invalid(
                "inputs[0].contents", "one element, in bytes_contents or in raw_input_contents", $"{FieldCheck.Text(raws + elements)}");
        }

        if (raws == 0)
        {
            bytes = tensor.Contents!.BytesContents[0].Memory;
            return null;
        }

        ReadOnlyMemory<byte> raw = request.RawInputContents[0].Memory;
        if (raw.Length < sizeof(uint) || BinaryPrimitives.ReadUInt32LittleEndian(raw.Span) != raw.Length - sizeof(uint))
        {
            return FieldCheck.Invalid(
                "raw_input_contents[0]", "a 32-bit length and that many bytes", $"{FieldCheck.Text(raw.Length)} bytes");
        }

        bytes = raw[sizeof(uint)..];
        return null;
    }

    private static Rejection? Decode(ReadOnlySpan<byte> bytes, out string text)
    {
        text = string.Empty;
        try
        {
            text = Strict.GetString(bytes);
            return null;
        }
        catch (DecoderFallbackException)
        {
            return FieldCheck.Invalid("inputs[0].contents", "UTF-8", "other bytes");
        }
    }

    private static Rejection? ReadOutputs(ModelInferRequest request) =>
        request.Outputs.Count > 1 || request.Outputs.Any(output => output.Name != Output)
            ? FieldCheck.Invalid("outputs", $"'{Output}' or nothing", "another tensor")
            : null;

    private static Rejection? ReadParameter(string name, Parameter value, GenerationOptions options)
    {
        switch (name)
        {
            case "max_tokens" when value.ParameterChoiceCase == Parameter.ParameterChoiceOneofCase.Int64Param:
                options.Stop.MaxTokens = (int)Math.Clamp(value.Int64Param, int.MinValue, int.MaxValue);
                return null;
            case "temperature" when value.ParameterChoiceCase == Parameter.ParameterChoiceOneofCase.DoubleParam:
                options.Sampling.Temperature = (float)value.DoubleParam;
                return null;
            case "top_p" when value.ParameterChoiceCase == Parameter.ParameterChoiceOneofCase.DoubleParam:
                options.Sampling.TopP = (float)value.DoubleParam;
                return null;
            case "seed" when value.ParameterChoiceCase == Parameter.ParameterChoiceOneofCase.Int64Param:
                options.Sampling.Seed = unchecked((ulong)value.Int64Param);
                return null;
            default:
                return FieldCheck.Invalid(
                    "parameters", "max_tokens (int64), temperature (double), top_p (double), seed (int64)",
                    $"{FieldCheck.Quote(name)} as {value.ParameterChoiceCase}");
        }
    }
}
