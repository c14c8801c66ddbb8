using System.Buffers.Binary;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.Facades.KServe;
using Xunit;

namespace ModelServe.Api.Tests.Facades;

/// <summary>The Open Inference Protocol as a platform's probes and a simple client use it.</summary>
public sealed class KServeFacadeTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task Probes_see_the_server_live_and_ready_until_it_drains()
    {
        await using WireServer server = await StartAsync();
        Assert.True((await Client(server).ServerLiveAsync(new ServerLiveRequest(), cancellationToken: Token)).Live);
        Assert.True((await Client(server).ServerReadyAsync(new ServerReadyRequest(), cancellationToken: Token)).Ready);
        Assert.True((await Client(server).ModelReadyAsync(new ModelReadyRequest { Name = "fake" }, cancellationToken: Token)).Ready);
        server.Drain.Begin();
        Assert.True((await Client(server).ServerLiveAsync(new ServerLiveRequest(), cancellationToken: Token)).Live);
        Assert.False((await Client(server).ServerReadyAsync(new ServerReadyRequest(), cancellationToken: Token)).Ready);
        Assert.False((await Client(server).ModelReadyAsync(new ModelReadyRequest { Name = "fake" }, cancellationToken: Token)).Ready);
    }

    [Fact]
    public async Task Metadata_names_the_tensors_of_text()
    {
        await using WireServer server = await StartAsync();
        Assert.Equal("modelserve", (await Client(server).ServerMetadataAsync(new ServerMetadataRequest(), cancellationToken: Token)).Name);
        ModelMetadataResponse model = await Client(server).ModelMetadataAsync(
            new ModelMetadataRequest { Name = "fake", Version = "1" }, cancellationToken: Token);
        Assert.Equal(("text_input", "text_output"), (Assert.Single(model.Inputs).Name, Assert.Single(model.Outputs).Name));
        Assert.Equal(StatusCode.NotFound, await CodeAsync(Client(server).ModelMetadataAsync(new ModelMetadataRequest { Name = "none" }, cancellationToken: Token)));
        Assert.Equal(StatusCode.NotFound, await CodeAsync(Client(server).ModelReadyAsync(new ModelReadyRequest { Name = "fake", Version = "2" }, cancellationToken: Token)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_text_goes_in_and_a_text_comes_out_in_the_same_form(bool raw)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("answer ü");
        ModelInferRequest request = Request(raw);
        request.Parameters["max_tokens"] = new InferParameter { Int64Param = 64 };
        request.Parameters["temperature"] = new InferParameter { DoubleParam = 0 };
        ModelInferResponse response = await Client(server).ModelInferAsync(request, cancellationToken: Token);
        ByteString text = raw ? Unframe(Assert.Single(response.RawOutputContents)) : Assert.Single(response.Outputs[0].Contents.BytesContents);
        Assert.Equal("answer ü", text.ToStringUtf8());
        Assert.Equal("call", response.Id);
        Assert.Equal("Stop", response.Parameters["finish_reason"].StringParam);
    }

    [Fact]
    public async Task Other_tensors_and_parameters_are_refused_by_field()
    {
        await using WireServer server = await StartAsync();
        (string Field, Action<ModelInferRequest> Set)[] cases =
        [
            ("inputs", request => request.Inputs.Clear()),
            ("inputs[0]", request => request.Inputs[0].Datatype = "FP32"),
            ("inputs[0]", request => request.Inputs[0].Shape.Add(2)),
            ("inputs[0].contents", request => request.Inputs[0].Contents = null),
            ("inputs[0].contents", request => request.Inputs[0].Contents.BytesContents[0] = ByteString.CopyFrom(0xff, 0xfe)),
            ("raw_input_contents[0]", request =>
            {
                request.Inputs[0].Contents = null;
                request.RawInputContents.Add(ByteString.CopyFrom(255, 255, 255, 255, 1));
            }),
            ("parameters", request => request.Parameters["beam"] = new InferParameter { Int64Param = 3 }),
            ("parameters", request => request.Parameters["max_tokens"] = new InferParameter { StringParam = "3" }),
            ("parameters.max_tokens", request => request.Parameters["max_tokens"] = new InferParameter { Int64Param = long.MinValue }),
            ("outputs", request => request.Outputs.Add(new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "logits" })),
        ];
        foreach ((string field, Action<ModelInferRequest> set) in cases)
        {
            ModelInferRequest request = Request(raw: false);
            set(request);
            RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(
                () => Client(server).ModelInferAsync(request, cancellationToken: Token).ResponseAsync);
            Assert.Equal((field, StatusCode.InvalidArgument), (field, refused.StatusCode));
            Assert.Equal(field, Assert.Single(refused.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations).Field);
        }
    }

    private static GRPCInferenceService.GRPCInferenceServiceClient Client(WireServer server) => new(server.Channel);

    private static ModelInferRequest Request(bool raw)
    {
        ByteString text = ByteString.CopyFromUtf8("question\n");
        var tensor = new ModelInferRequest.Types.InferInputTensor { Name = "text_input", Datatype = "BYTES", Shape = { 1 } };
        var request = new ModelInferRequest { ModelName = "fake", Id = "call", Inputs = { tensor } };
        if (raw)
        {
            var framed = new byte[4 + text.Length];
            BinaryPrimitives.WriteUInt32LittleEndian(framed, (uint)text.Length);
            text.CopyTo(framed, 4);
            request.RawInputContents.Add(ByteString.CopyFrom(framed));
        }
        else
        {
            tensor.Contents = new InferTensorContents { BytesContents = { text } };
        }

        return request;
    }

    private static ByteString Unframe(ByteString framed)
    {
        Assert.Equal((uint)(framed.Length - 4), BinaryPrimitives.ReadUInt32LittleEndian(framed.Span));
        return ByteString.CopyFrom(framed.Span[4..]);
    }

    private static async Task<StatusCode> CodeAsync<T>(AsyncUnaryCall<T> call) =>
        (await Assert.ThrowsAnyAsync<RpcException>(() => call.ResponseAsync)).StatusCode;
}
