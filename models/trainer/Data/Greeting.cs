namespace ModelServe.Trainer.Data;

/// <summary>Greetings, thanks and farewells, each with one short reply.</summary>
internal static class Greeting
{
    private static readonly (string Said, string Reply)[] Exchanges =
    [
        ("Hello", "Hello"), ("Hi", "Hello"), ("Hey", "Hello"), ("Good morning", "Good morning"), ("Good evening", "Good evening"),
        ("Good afternoon", "Good afternoon"), ("Thanks", "You are welcome"), ("Thank you", "You are welcome"),
        ("Goodbye", "Goodbye"), ("Bye", "Goodbye"), ("See you later", "Goodbye"),
    ];

    private static readonly string[] Ends = ["", "!", ".", " there!", " there.", " there", ", friend!", ", friend."];

    public static Problem Make(Random random)
    {
        (string said, string reply) = Pick.One(random, Exchanges);
        string end = reply is "Hello" or "Good morning" or "Good evening" or "Good afternoon" ? "! How can I help you?" : "!";
        if (random.Next(3) == 0)
        {
            string name = random.Next(2) == 0 ? Pick.One(random, Words.Names) : Pick.Invented(random);
            string question = reply == "Goodbye" || reply == "You are welcome" ? $"{said}, my name is {name}." : $"{said}, I am {name}.";
            return new("greeting", "greet:" + question, question, $"{reply}, {name}{end}");
        }

        string plain = said + Pick.One(random, Ends);
        return new("greeting", plain == said || plain == said + "!" ? "plain" : "greet:" + plain, plain, reply + end);
    }
}
